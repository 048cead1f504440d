"""Check what records say of their pictures: boxes, classes, and pictures that no record mentions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionkit.data.formats import listing
from visionkit.data.pixels import origin, path_of
from visionkit.data.records import Records
from visionkit.data.report import Report
from visionkit.engine.doctor.codes import Finding
from visionkit.engine.doctor.pool import Splits
from visionkit.types import LABEL_KINDS

EDGE: Final = 2.0
"""Pixels that a box may reach over the edge, by rounding or by counting from 1, before it is an error."""

EDGE_SHARE: Final = 0.01
"""The same as a share of the picture's side; the larger of both counts."""


def boxes(records: Records, split: str, heights: NDArray[Any], widths: NDArray[Any]) -> Iterator[Finding]:
    """Yield what is wrong with the boxes of a split; of pictures that could not be opened the height is 0."""
    if records.boxes is None or records.box_start is None or records.box_label is None:
        return
    counts = np.diff(records.box_start)
    image = np.repeat(np.arange(len(records)), counts)
    x1, y1, x2, y2 = records.boxes.T.astype(np.float64)
    inverted, empty = (x2 < x1) | (y2 < y1), (x2 == x1) | (y2 == y1)
    wide, high = widths[image].astype(np.float64), heights[image].astype(np.float64)
    over = np.max([-x1, -y1, x2 - wide, y2 - high], axis=0) if len(image) else np.zeros(0)
    allowed = np.maximum(EDGE, EDGE_SHARE * np.maximum(wide, high))
    gone = (x1 >= wide) | (y1 >= high) | (x2 <= 0) | (y2 <= 0)
    seen, drawn = high > 0, ~inverted & ~empty
    size = "the image of {0} x {1} pixels (height x width)"
    for code, wrong, said in (
        ("box_inverted", inverted, "the right or lower side comes before the left or upper one"),
        ("box_empty", empty & ~inverted, "has no area"),
        ("box_outside", seen & drawn & gone, f"lies outside {size}"),
        (
            "box_outside",
            seen & drawn & ~gone & (over > allowed),
            "reaches over the edge of its {0} x {1} pixels (height x width)",
        ),
        ("box_edge", seen & drawn & ~gone & (over > 0) & (over <= allowed), "reaches over the edge"),
    ):
        for row in np.flatnonzero(wrong).tolist():
            index = int(image[row])
            yield _box(records, split, index, [row], code, said.format(heights[index], widths[index]))
    for rows in _repeated(records, image):
        yield _box(records, split, int(image[rows[0]]), rows, "box_duplicate", f"is the same box {len(rows)} x")
    for index in np.flatnonzero((counts == 0) & _has(records, "boxes")).tolist():
        yield Finding("no_objects", (records.names[index],), "has no box", ((split, index),))


def _repeated(records: Records, image: NDArray[np.int64]) -> Iterator[list[int]]:
    """Yield the rows of boxes of one image that are the same, class included."""
    assert records.boxes is not None
    keys = np.column_stack([image, np.asarray(records.box_label), records.boxes])
    _, number, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(count)
    for which in np.flatnonzero(count > 1).tolist():
        yield order[ends[which] - count[which] : ends[which]].tolist()


def _box(records: Records, split: str, index: int, rows: list[int], code: str, said: str) -> Finding:
    assert records.boxes is not None
    assert records.box_start is not None
    numbers = ", ".join(str(row - int(records.box_start[index]) + 1) for row in rows)
    corners = tuple(round(float(side), 1) for side in records.boxes[rows[0]])
    shown = " ".join(f"{side:g}" for side in corners)
    file = f"{records.names[index]}, box {numbers}"
    return Finding(code, (file,), f"{said} (x1 y1 x2 y2: {shown})", ((split, index),), (corners,))  # type: ignore[arg-type]


def _has(records: Records, kind: str) -> NDArray[np.bool_]:

    return np.asarray(records.present[:, LABEL_KINDS.index(kind)])


def counts(records: Records, mask_images: NDArray[np.int64] | None) -> dict[str, dict[str, int]]:
    """Return how often each class is there, by kind of label: images for classes and masks, boxes for boxes."""
    found: dict[str, dict[str, int]] = {}
    classes = records.classes
    if records.labels is not None and classes.labels:
        numbers = np.bincount(records.labels[_has(records, "labels")], minlength=len(classes.labels))
        found["labels"] = dict(zip(classes.labels, numbers.tolist(), strict=True))
    if records.multilabel is not None and classes.labels:
        numbers = records.multilabel[_has(records, "multilabel")].sum(axis=0, dtype=np.int64)
        found["multilabel"] = dict(zip(classes.labels, numbers.tolist(), strict=True))
    if mask_images is not None and classes.mask:
        found["mask"] = dict(zip(classes.mask, mask_images[: len(classes.mask)].tolist(), strict=True))
    if records.box_label is not None and classes.boxes:
        assert records.box_start is not None
        carried = np.repeat(_has(records, "boxes"), np.diff(records.box_start))
        numbers = np.bincount(records.box_label[carried], minlength=len(classes.boxes))
        found["boxes"] = dict(zip(classes.boxes, numbers.tolist(), strict=True))
    return found


UNITS: Final = {"labels": "image", "multilabel": "image", "mask": "mask", "boxes": "box"}
"""What is counted of each kind of label."""


def classes(table: dict[str, dict[str, dict[str, int]]]) -> Iterator[Finding]:
    """Yield the classes that a split does not have, out of `counts` by split."""
    for split, kinds in table.items():
        for kind, numbers in kinds.items():
            if gone := [name for name, number in numbers.items() if number == 0]:
                said = f"no {UNITS[kind]} of {split} has the class {', '.join(gone)}"
                yield Finding("class_missing", (split,), said)


def unlabelled(splits: Splits) -> Iterator[Finding]:
    """Yield the images that lie beside those of the data set and belong to no sample."""
    used: dict[Path, set[str]] = {}
    for records in splits.values():
        for pixels in (records.images, records.masks, records.instances):
            for index in range(0 if pixels is None else len(pixels)):
                path = path_of(pixels, index)  # type: ignore[arg-type]
                if path is not None and path.suffix.lower() in listing.IMAGE_SUFFIXES:
                    used.setdefault(path.parent, set()).add(path.name)
    for folder, names in sorted(used.items()):
        for name in listing.images(folder) if folder.is_dir() else []:
            if name not in names:
                yield Finding("label_missing", (str(folder / name),), "belongs to no sample of the data set")


def reported(report: Report, splits: Splits) -> list[Finding]:
    """Return what the reader found, with the sample whose image is called like the file that it is about."""
    if not report.findings:
        return []
    samples = {
        Path(name).stem: (split, index) for split, records in splits.items() for index, name in enumerate(records.names)
    }
    findings = []
    for found in report.findings:
        sample = samples.get(_stem(found.path))
        findings.append(Finding(found.code, (found.path,), found.text, () if sample is None else (sample,)))
    return findings


def told_once(said: list[Finding], own: list[Finding]) -> list[Finding]:
    """Return what the reader said and what was found of its records, boxes that leave their image told once.

    Of these the reader knows what the annotation says of the image's size, the records what was decoded: that counts.
    """
    edge = {"box_outside", "box_edge"}
    if not any(one.code in edge for one in own):
        return [*said, *own]
    return [*(one for one in said if one.code not in edge), *own]


def _stem(file: str) -> str:
    """Return a file's name without suffix, whatever line or number is named behind it."""
    return Path(file.split(", ")[0]).stem


def relative(findings: list[Finding], root: Path | None) -> list[Finding]:
    """Return the findings with their files relative to the root of the data set."""
    if root is None:
        return findings
    before = f"{root}/"
    return [one._replace(files=tuple(file.removeprefix(before) for file in one.files)) for one in findings]


def root_of(splits: Splits) -> Path | None:
    """Return the folder that names are relative to, None where the data set lies in no files."""
    for records in splits.values():
        path = path_of(records.images, 0) if len(records) else None
        if path is not None:
            source, _ = origin(records.images, 0)
            root = getattr(source, "root", None)
            return Path(root) if root is not None else None
    return None
