"""Resize pictures of any number of channels with OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 4
"""Of more channels, OpenCV averages no areas."""


def resize(picture: NDArray[Any], height: int, width: int, interpolation: int) -> NDArray[Any]:
    """Return (H, W) or (H, W, C) in another size; `interpolation` is one of OpenCV's."""
    if picture.ndim == 2 or 1 < picture.shape[2] <= _AT_ONCE:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=interpolation))
    made = np.empty((height, width, picture.shape[2]), dtype=picture.dtype)
    for first in range(0, picture.shape[2], _AT_ONCE):
        part = np.ascontiguousarray(picture[..., first : first + _AT_ONCE])
        resized = cv2.resize(part, (width, height), interpolation=interpolation)
        made[..., first : first + _AT_ONCE] = resized.reshape(height, width, -1)  # it drops the axis of a single one
    return made
