"""Give the objects of Pascal VOC's object masks the numbers of their boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.data.formats.instances.measure import measured_boxes
from visionkit.data.pictures.files import decode_index
from visionkit.data.strings import Strings
from visionkit.types import IGNORE_INDEX


class ObjectMasks:
    """The object masks of one split as instance maps whose value k + 1 marks the image's k-th box.

    The values of the files need not count the boxes, some of which may have been left out: each object goes to the box
    that it overlaps most (intersection over union with the object's own tight box), the best match first.
    """

    def __init__(self, root: Path, paths: Strings, boxes: NDArray[np.float32], box_start: NDArray[np.int64]) -> None:
        self.root = root
        self.paths = paths
        self._boxes = boxes
        self._start = box_start

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        numbers = decode_index(self.path(index)).astype(np.int64)
        numbers[numbers == IGNORE_INDEX] = 0  # void, drawn around each object
        values, tight = measured_boxes(numbers)
        boxes = self._boxes[self._start[index] : self._start[index + 1]]
        new = np.zeros(int(numbers.max(initial=0)) + 1, dtype=np.uint8 if len(boxes) < IGNORE_INDEX else np.uint16)
        for object_, box in _matches(tight, boxes):
            new[values[object_]] = box + 1
        return new[numbers]

    def path(self, index: int) -> Path:
        """Return the file of an object mask."""
        return self.root / self.paths[index]


def _matches(objects: NDArray[np.float32], boxes: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return pairs of an object and a box that overlap, best first, each at most once."""
    overlap = _iou(objects, boxes)
    pairs: list[tuple[int, int]] = []
    while overlap.size and overlap.max() > 0:
        row, column = divmod(int(overlap.argmax()), overlap.shape[1])
        pairs.append((row, column))
        overlap[row], overlap[:, column] = 0, 0
    return pairs


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = sides.clip(min=0).prod(axis=2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b))
    return np.asarray(both / np.maximum(area_a[:, None] + area_b - both, 1e-9), dtype=np.float32)
