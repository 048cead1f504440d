"""Read a data set in YOLO's format: boxes or polygons, a text file an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.data.formats import listing
from visionkit.data.formats.box_checks import sound_boxes
from visionkit.data.formats.yolo.labels import Rows, packed, read_labels
from visionkit.data.formats.yolo.layout import LAYOUTS, Layout, find_layout, image_paths, label_path
from visionkit.data.formats.yolo.polygon_masks import PolygonMasks
from visionkit.data.pictures.files import ImageFiles
from visionkit.data.pictures.header import upright_size
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import IGNORE_INDEX, LABEL_KINDS, Classes


class YOLO(Reader):
    """Reads the images that data.yaml names, or the folders show, each with a text file of its objects.

    Class names are those of data.yaml or of a list (`layout`); without names the classes are numbers up to the
    largest that any split holds. An image without a label file, or with an empty one, has no objects. Boxes of polygons
    are the tight ones. Where there are polygons, an image whose objects all have one carries a mask, background and the
    classes, the smaller object on top; and when all images do, there are `instances` as well.
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = Path(root)
        self._layout: Layout | None = None
        self._rows: dict[str, tuple[Strings, Rows]] | None = None

    def splits(self) -> tuple[str, ...]:
        """Return the splits that data.yaml or the folders name, or `UNSPLIT`."""
        return tuple(self._found().sources)

    def read(self, split: str) -> Records:
        """Return one split with `boxes`, and with `masks` and `instances` where they are drawn."""
        listing.require_split(split, self.splits(), self.root)
        everything = self._everything()
        classes = self._classes()
        polygons = any(rows.polygon.any() for _, rows in everything.values())
        names, rows = everything[split]
        names, rows, sizes = self._measured(names, rows, all_images=polygons)
        image = np.repeat(np.arange(len(names)), np.diff(rows.start))
        boxes, corners = _in_pixels(rows, sizes[image])
        keep = sound_boxes(
            boxes,
            image * len(classes) + rows.labels,
            sizes[image],
            lambda row: f"{self.root / label_path(names[int(image[row])])}, line {rows.lines[row]}",
            self.report,
        )
        start = np.searchsorted(image[keep], np.arange(len(names) + 1)).astype(np.int64)
        labels = rows.labels[keep]
        present = np.zeros((len(names), len(LABEL_KINDS)), dtype=bool)
        present[:, LABEL_KINDS.index("boxes")] = True
        fields: dict[str, Any] = {}
        if polygons and len(classes) < IGNORE_INDEX:
            boxed = np.zeros(len(names), dtype=bool)
            boxed[image[~rows.polygon]] = True
            present[:, LABEL_KINDS.index("mask")] = ~boxed
            for row in np.flatnonzero(boxed).tolist():
                self.report.warning(
                    "mask_missing",
                    self.root / label_path(names[row]),
                    "an image with boxes among its polygons has no mask; draw all of its objects as polygons",
                )
            lengths = np.where(rows.polygon, np.diff(rows.value_start) // 2, 0)
            kept = np.isin(np.arange(len(rows.labels)), keep)
            shapes = (sizes, start, corners[np.repeat(kept, lengths)], np.cumsum([0, *lengths[keep]]))
            fields["masks"] = PolygonMasks(*shapes, labels + 1, np.uint8)
            if all(found.polygon.all() for _, found in everything.values()):
                number = np.arange(len(keep)) - start[image[keep]] + 1
                kind = np.uint8 if number.max(initial=0) < IGNORE_INDEX else np.uint16
                fields["instances"] = PolygonMasks(*shapes, number, kind)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(boxes=classes, mask=("background", *classes) if "masks" in fields else None),
            boxes=boxes[keep].astype(np.float32),
            box_label=labels,
            box_ignore=np.zeros(len(keep), dtype=bool),
            box_start=start,
            present=present,
            **fields,
        )

    def _found(self) -> Layout:
        if self._layout is None:
            self._layout = find_layout(self.root, self.report)
        return self._layout

    def _everything(self) -> dict[str, tuple[Strings, Rows]]:
        """Return images and objects of all splits, read once, without images whose labels cannot be read."""
        if self._rows is None:
            layout = self._found()
            known = None if layout.names is None else len(layout.names)
            self._rows = {}
            for split, sources in layout.sources.items():
                images = dict.fromkeys(
                    name for source in sources for name in image_paths(self.root, source, self.report)
                )
                if not images:
                    raise DataError(f"{sources[0].where}: holds no images; lay the data out as {LAYOUTS}")
                found = {name: read_labels(self.root / label_path(name), known, self.report) for name in images}
                read = {name: rows for name, rows in found.items() if rows is not None}
                self._rows[split] = Strings(read), packed(read.values())
        return self._rows

    def _classes(self) -> tuple[str, ...]:
        names = self._found().names
        if names is None:
            largest = max(int(rows.labels.max(initial=-1)) for _, rows in self._everything().values())
            names = tuple(str(number) for number in range(largest + 1))
        if not names:
            raise DataError(f"{self.root}: no label file holds an object; lay the data out as {LAYOUTS}")
        return names

    def _measured(self, names: Strings, rows: Rows, all_images: bool) -> tuple[Strings, Rows, NDArray[np.int64]]:
        """Return the images with their sizes (N, 2), without those that cannot be opened.

        Without `all_images` those without objects are not looked at; their size is 0 then.
        """
        sizes = np.zeros((len(names), 2), dtype=np.int64)
        bad = []
        for index in np.flatnonzero((np.diff(rows.start) > 0) | all_images).tolist():
            try:
                sizes[index] = upright_size(self.root / names[index])
            except DataError:
                if not self.report.lenient:
                    raise
                bad.append(index)
        if not bad:
            return names, rows, sizes
        for index in bad:
            self.report.error("unreadable_image", self.root / names[index], "cannot be read as an image; replace it")
        keep = np.setdiff1d(np.arange(len(names)), bad)
        return Strings(names[int(index)] for index in keep), _taken(rows, keep), sizes[keep]


def _taken(rows: Rows, images: NDArray[np.int64]) -> Rows:
    """Return the objects of the images at `images`."""
    image = np.repeat(np.arange(len(rows.start) - 1), np.diff(rows.start))
    keep = np.isin(image, images)
    lengths = np.diff(rows.value_start)
    return Rows(
        start=np.cumsum([0, *np.diff(rows.start)[images]], dtype=np.int64),
        labels=rows.labels[keep],
        lines=rows.lines[keep],
        values=rows.values[np.repeat(keep, lengths)],
        value_start=np.cumsum([0, *lengths[keep]], dtype=np.int64),
    )


def _in_pixels(rows: Rows, sizes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the boxes (M, 4) of all rows, and the corners (P, 2) of those that are polygons, in pixels.

    `sizes` (M, 2) are the height and width of each row's image.
    """
    scale = sizes[:, ::-1].astype(np.float64)
    lengths = np.diff(rows.value_start)
    boxes = np.zeros((len(lengths), 4))
    flat = np.repeat(rows.polygon, lengths)
    is_box = ~rows.polygon
    centre, side = np.split(rows.values[~flat].reshape(-1, 4), 2, axis=1)
    boxes[is_box] = np.concatenate([centre - side / 2, centre + side / 2], axis=1) * np.tile(scale[is_box], 2)
    counts = lengths[rows.polygon] // 2
    corners = rows.values[flat].reshape(-1, 2) * np.repeat(scale[rows.polygon], counts, axis=0)
    if len(counts):
        first = np.cumsum([0, *counts[:-1]])
        low, high = np.minimum.reduceat(corners, first), np.maximum.reduceat(corners, first)
        boxes[rows.polygon] = np.concatenate([low, high], axis=1)
    return boxes, corners.astype(np.float32)
