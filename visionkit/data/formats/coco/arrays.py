"""Put what a COCO file holds into flat arrays, leaving out what cannot be used."""

from __future__ import annotations

import mmap
import posixpath
import re
from collections.abc import Iterable
from itertools import chain, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.data.formats import listing
from visionkit.data.formats.coco import layout
from visionkit.data.formats.coco.annotations import Annotation, Category, Image, decode
from visionkit.data.formats.coco.layout import Source
from visionkit.data.packed import Pack
from visionkit.data.report import Report
from visionkit.data.strings import Strings

_NOTHING = re.compile(rb"[\[\]{}\s]*|null|\"\"")
"""What files write where there is no segmentation."""

_PLAIN = re.compile(r"(?!\.)[^/:]+")
"""A file name that needs no look at where it leads: a file of the folder."""

_SHORT = 64
"""Bytes; a longer segmentation is one."""

_UNLISTED, _LEFT_OUT, _UNDECLARED = -1, -2, -1
"""In place of the row of an image, or of the number of a category."""

_VOID = "an object without segmentation is void in masks: the inside of its box"

_FAR = 1e9
"""Pixels; numbers beyond them are pulled in, so that they fit in 32 bits: no image is that large."""


def read_arrays(root: Path, source: Source) -> Pack:
    """Return what a file of annotations holds.

    The arrays, of N images and, image after image, of M boxes:

    - `name_blob` and `name_start` make the `Strings` of the images' paths, relative to the root; `missing` are the rows
      of those whose file is not there; `image_id` (N,); `size` (N, 2) is height and width, 0 where they are not told;
    - `boxes` (M, 4) x1 y1 x2 y2, `box_label` (M,) dense in the order of the category ids, `box_ignore` (M,) for crowds,
      `box_start` (N + 1,); `multilabel` (N, K) for categories of which the image holds an object;
    - `segment_start` and `segment_length` (M,) say which bytes of the file are the box's segmentation, 0 long for none;
      `segment_id` (M,) is the annotation's id.

    `about` holds `categories` (id and name, by id), `segmented` (whether an object is more than a box) and `findings`
    (code, level, place in the file and text).
    Raises DataError for a file that cannot be read at all.
    """
    content, text = decode(root / source.annotations)
    report = Report(lenient=True)
    categories = _categories(content.categories, report)
    images, row = _images(content.images, root, source, report)
    number = {category.id: label for label, category in enumerate(categories)}
    size = np.asarray([(image.height, image.width) for image in images.values()], dtype=np.int32).reshape(-1, 2)
    names = Strings(images)

    # Column by column and without a loop over annotations: there are millions of them.
    found = content.annotations
    identity = _column(map(attrgetter("id"), found), np.int64)
    image = _column(map(row.get, map(attrgetter("image_id"), found), repeat(_UNLISTED)), np.int64)
    label = _column(map(number.get, map(attrgetter("category_id"), found), repeat(_UNDECLARED)), np.int64)
    ignore = _column(map(bool, map(attrgetter("iscrowd"), found)), np.bool_)
    start, length = _segments(text, found)
    usable = _usable(found, identity, image, label, report)
    boxes = [found[index].bbox for index in usable.tolist()]
    box = _column(chain.from_iterable(boxes), np.float64).reshape(-1, 4).clip(-_FAR, _FAR)
    corners = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1).astype(np.float32)
    sound = _sound(identity[usable], box, corners, size[image[usable]], report)
    sound = sound[np.argsort(image[usable[sound]], kind="stable")]
    used = usable[sound]
    identity, image, label, ignore = identity[used], image[used], label[used], ignore[used]
    start, length = start[used], length[used]
    multilabel = np.zeros((len(images), len(categories)), dtype=np.uint8)
    multilabel[image[~ignore], label[~ignore]] = 1
    if length.any():
        for missed in identity[(length == 0) & ~ignore].tolist():
            report.warning("mask_missing", f"annotation id {missed}", _VOID)
    arrays: dict[str, NDArray[Any]] = {
        "name_blob": names.blob,
        "name_start": names.start,
        "missing": layout.missing(root, list(images)),
        "image_id": _column((item.id for item in images.values()), np.int64),
        "size": size,
        "boxes": corners[sound],
        "box_label": label,
        "box_ignore": ignore,
        "box_start": np.searchsorted(image, np.arange(len(images) + 1)).astype(np.int64),
        "multilabel": multilabel,
        "segment_start": start,
        "segment_length": length,
        "segment_id": identity,
    }
    about = {
        "segmented": bool(length.any()),
        "categories": [(category.id, category.name) for category in categories],
        "findings": [tuple(finding) for finding in report.findings],
    }
    return Pack(arrays, about)


def _categories(found: Iterable[Category], report: Report) -> list[Category]:
    """Return the categories in the order of their ids, each once."""
    kept: dict[int, Category] = {}
    for category in found:
        if category.id in kept:
            report.error("id_duplicate", f"category id {category.id}", "is given twice; give every category its own id")
        else:
            kept[category.id] = category
    return [kept[number] for number in sorted(kept)]


def _images(found: list[Image], root: Path, source: Source, report: Report) -> tuple[dict[str, Image], dict[int, int]]:
    """Return the images by path, and by id the row of each, or `_LEFT_OUT`."""
    file_names = [image.file_name.replace("\\", "/") for image in found]
    folder = layout.folder_of(root, source, file_names)
    kept: dict[str, Image] = {}
    row: dict[int, int] = {}
    for image, file_name in zip(found, file_names, strict=True):
        where = f"image id {image.id}"
        if image.id in row:
            report.error("id_duplicate", where, "is given twice; give every image its own id")
            continue
        row[image.id] = _LEFT_OUT
        name: str | None = posixpath.join(folder, file_name)
        if not _PLAIN.fullmatch(file_name):
            name = listing.inside(root, posixpath.join(folder, file_name), where, report)
        if name in kept:
            report.error("image_duplicate", where, f"names the same file as image id {kept[name].id}; list it once")
        elif name is not None:
            row[image.id] = len(kept)
            kept[name] = image
    return kept, row


def _usable(
    found: list[Annotation],
    identity: NDArray[np.int64],
    image: NDArray[np.int64],
    label: NDArray[np.int64],
    report: Report,
) -> NDArray[np.int64]:
    """Return the rows of the annotations whose references and numbers hold, of images that are kept."""
    again = np.ones(len(found), dtype=bool)
    again[np.unique(identity, return_index=True)[1]] = False
    numbers = _column(map(len, map(attrgetter("bbox"), found)), np.int64)
    bad = again | (image == _UNLISTED) | (label == _UNDECLARED) | (numbers != 4)
    for row in np.flatnonzero(bad).tolist():
        item, where = found[row], f"annotation id {found[row].id}"
        if again[row]:
            report.error("id_duplicate", where, "is given twice; give every annotation its own id")
        elif image[row] == _UNLISTED:
            text = f"belongs to image id {item.image_id}, which images does not list; list the image or remove it"
            report.error("image_unlisted", where, text)
        elif label[row] == _UNDECLARED:
            text = f"has category id {item.category_id}, which categories does not declare; declare or correct it"
            report.error("unknown_class", where, text)
        else:
            text = f"has a bbox of {numbers[row]} numbers; four are needed: x, y, width, height"
            report.error("bad_annotation", where, text)
    return np.flatnonzero(~bad & (image != _LEFT_OUT))


def _sound(
    identity: NDArray[np.int64],
    box: NDArray[np.float64],
    corners: NDArray[np.float32],
    size: NDArray[np.int32],
    report: Report,
) -> NDArray[np.int64]:
    """Return the rows of the boxes that have an area inside their image."""
    height, width = np.where(size > 0, size, np.inf).T
    inverted = (box[:, 2:] < 0).any(axis=1)
    empty = ~(corners[:, 2:] > corners[:, :2]).all(axis=1) & ~inverted
    outside = (corners[:, 2:] <= 0).any(axis=1) | (corners[:, 0] >= width) | (corners[:, 1] >= height)
    outside &= ~inverted & ~empty
    texts = (
        ("box_inverted", inverted, "a box of negative width or height is left out"),
        ("box_empty", empty, "a box of no area is left out"),
        ("box_outside", outside, "a box that lies wholly outside its image is left out"),
    )
    for code, wrong, text in texts:
        for number in identity[wrong].tolist():
            report.warning(code, f"annotation id {number}", text)
    return np.flatnonzero(~(inverted | empty | outside))


def _segments(text: mmap.mmap, found: list[Annotation]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return where in the file each segmentation stands, and its length in bytes, 0 for none.

    They come in the order of the file, so each is looked for behind the one before; where the same bytes stand earlier,
    those are as good.
    """
    segmentations = list(map(attrgetter("segmentation"), found))
    length = _column((memoryview(one).nbytes for one in segmentations), np.int32)
    for row in np.flatnonzero(length <= _SHORT).tolist():
        if _NOTHING.fullmatch(segmentations[row]):
            length[row] = 0
    start = np.zeros(len(found), dtype=np.int64)
    place = 0
    for row in np.flatnonzero(length).tolist():
        start[row] = place = text.find(segmentations[row], place)
        place += 1
    return start, length


def _column(values: Iterable[Any], dtype: Any) -> NDArray[Any]:
    return np.fromiter(values, dtype=dtype)
