"""Clip the boxes of a moved sample, or measure them anew, and drop those of which too little is left."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.sample import Sample

MIN_VISIBILITY: Final = 0.1
"""A box is dropped when less than this fraction of it is left inside the image."""

MIN_SIDE: Final = 1.0
"""A box is dropped when a side is shorter, in pixels of the network's input."""


def clipped(sample: Sample) -> Sample:
    """Return the sample with its boxes clipped to its image, without those that are all but outside or too small."""
    boxes = sample.boxes
    if boxes is None:
        return sample
    height, width = sample.image.shape[:2]
    inside = np.clip(boxes, 0, np.asarray([width, height] * 2, dtype=np.float32))
    sides = inside[:, 2:] - inside[:, :2]
    keep = (sides.prod(axis=1) >= MIN_VISIBILITY * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)) & big_enough(inside)
    sample = sample._replace(boxes=inside)
    return sample if keep.all() else sample.keep_boxes(np.flatnonzero(keep))


def big_enough(boxes_N4: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which boxes have no side under `MIN_SIDE`."""
    return np.asarray((boxes_N4[:, 2:] - boxes_N4[:, :2] >= MIN_SIDE).all(axis=1))


def measured(sample: Sample, before: NDArray[Any], scale: float = 1.0) -> Sample:
    """Return the sample with tight boxes around the pixels of each instance, without those that are all but gone.

    `before` is the instance map from which `sample.instances` was made, `scale` how many pixels one of its became.
    """
    assert sample.box_value is not None
    assert sample.instances is not None
    seen: list[int] = []
    boxes: list[tuple[int, int, int, int]] = []
    for row, value in enumerate(sample.box_value.tolist()):
        pixels = (sample.instances == value).view(np.uint8)
        left = cv2.countNonZero(pixels)
        if left and left >= MIN_VISIBILITY * scale * np.count_nonzero(before == value):
            x, y, width, height = cv2.boundingRect(pixels)
            boxes.append((x, y, x + width, y + height))
            seen.append(row)
    moved = sample if len(seen) == len(sample.box_value) else sample.keep_boxes(np.asarray(seen, dtype=np.int64))
    return moved._replace(boxes=np.asarray(boxes, dtype=np.float32).reshape(-1, 4))
