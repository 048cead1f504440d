"""Measure the boxes of the objects in an instance map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def measured_boxes(instances: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the values of an instance map (H, W) other than 0, ascending, and the tight box of each: x1 y1 x2 y2."""
    y, x = np.nonzero(instances)
    values, rank = np.unique(instances[y, x], return_inverse=True)
    low = np.full((len(values), 2), np.iinfo(np.int64).max)
    high = np.full((len(values), 2), -1)
    for side, place in enumerate((x, y)):
        np.minimum.at(low[:, side], rank, place)
        np.maximum.at(high[:, side], rank, place)
    return values, np.concatenate([low, high + 1], axis=1).astype(np.float32)
