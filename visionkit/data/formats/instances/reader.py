"""Read a data set of instance masks: a mask an object, or label maps."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.formats import listing
from visionkit.data.formats.instances.files import Foreground, LabelMaps, ObjectFiles, decode_object
from visionkit.data.formats.instances.layout import Item, find_items, find_splits
from visionkit.data.formats.instances.measure import measured_boxes
from visionkit.data.pictures.files import ImageFiles, decode_index
from visionkit.data.pictures.header import upright_size
from visionkit.data.pixels import Pixels
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import Classes

log = logging.getLogger(__name__)

MANY: Final = 2000
"""Masks from which on it is said that they are being measured."""


Level = Literal["error", "warning"]


class _Measured(NamedTuple):
    """What is known of an image's masks once they have been looked at."""

    size: tuple[int, int]  # height and width of the image
    boxes: NDArray[np.float32]  # (n, 4)
    masks: tuple[str, ...]  # those with an object, in step with the boxes; the label map alone where there is one
    findings: tuple[tuple[Level, str, str, str], ...]  # with code, path and text


class InstanceMasks(Reader):
    """Reads the layouts of `layout`: boxes of one class, measured from the masks, masks and instance maps.

    `class_names` is that class's name alone; masks have `background` before it. Objects go by the names of their files
    or by their numbers. All masks of a split are looked at when it is read, on all cores.
    """

    def __init__(self, root: str, class_names: Sequence[str] = ("object",)) -> None:
        super().__init__()
        if isinstance(class_names, str) or len(class_names) != 1:
            raise ConfigError(f"data.class_names={class_names}: instance masks have one class; write one name, [cell]")
        self.root = Path(root)
        self.class_name = str(class_names[0])

    def splits(self) -> tuple[str, ...]:
        """Return the splits that the folders name, or `UNSPLIT`."""
        return find_splits(self.root)

    def read(self, split: str) -> Records:
        """Return one split with `boxes`, `masks` and `instances`."""
        listing.require_split(split, self.splits(), self.root)
        items = find_items(self.root, split, self.report)
        if sum(len(item.masks) for item in items) >= MANY:
            log.info("measuring the objects of %d images in %s", len(items), self.root)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = list(pool.map(self._measure, items))
        kept: list[tuple[Item, _Measured]] = []
        for item, found in zip(items, measured, strict=True):
            for level, code, path, text in found.findings:
                (self.report.error if level == "error" else self.report.warning)(code, path, text)
            if all(level != "error" for level, *_ in found.findings):
                kept.append((item, found))
        names = Strings(item.image for item, _ in kept)
        start = np.cumsum([0, *(len(found.boxes) for _, found in kept)], dtype=np.int64)
        instances = self._instances(kept, start)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(boxes=(self.class_name,), mask=("background", self.class_name)),
            masks=Foreground(instances),
            boxes=np.concatenate([np.empty((0, 4), dtype=np.float32), *(found.boxes for _, found in kept)]),
            box_label=np.zeros(start[-1], dtype=np.int64),
            box_ignore=np.zeros(start[-1], dtype=bool),
            box_start=start,
            instances=instances,
        )

    def _instances(self, kept: list[tuple[Item, _Measured]], start: NDArray[np.int64]) -> Pixels:
        paths = Strings(path for _, found in kept for path in found.masks)
        if kept and kept[0][0].numbered:
            return LabelMaps(self.root, paths)
        return ObjectFiles(self.root, paths, start, np.asarray([found.size for _, found in kept]).reshape(-1, 2))

    def _measure(self, item: Item) -> _Measured:
        """Look at all masks of an image."""
        size = (0, 0)
        masks: list[tuple[str, NDArray[Any]]] = []
        findings: list[tuple[Level, str, str, str]] = []
        for path in (item.image, *item.masks):
            file = self.root / path
            try:
                if path == item.image:
                    size = upright_size(file)
                else:
                    masks.append((path, decode_index(file) if item.numbered else decode_object(file)))
            except DataError as error:
                cause = str(error).removeprefix(f"{file}: ")
                findings.append(("error", "unreadable_image", str(file), cause))
        for path, mask in masks:
            if mask.shape != size:
                text = f"is {mask.shape[0]} x {mask.shape[1]} pixels (height x width), but its image {item.image} is "
                text += f"{size[0]} x {size[1]}; they must be equal"
                findings.append(("error", "mask_size", str(self.root / path), text))
            elif not item.numbered and not mask.any():
                text = "a mask without a pixel of an object is left out; remove the file"
                findings.append(("warning", "mask_empty", str(self.root / path), text))
        if item.numbered:
            boxes = measured_boxes(masks[0][1])[1] if masks else np.empty((0, 4), dtype=np.float32)
            return _Measured(size, boxes, item.masks, tuple(findings))
        full = [(path, _box(mask)) for path, mask in masks if mask.any()]
        boxes = np.asarray([box for _, box in full], dtype=np.float32).reshape(-1, 4)
        return _Measured(size, boxes, tuple(path for path, _ in full), tuple(findings))


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x, y, x + width, y + height
