"""Take scikit-learn's handwritten digits apart into glyphs that can be drawn at any size and angle."""

from __future__ import annotations

import math
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

FACTOR: Final = 5
"""How much a glyph is enlarged before it is warped, so that linear interpolation of the warp is smooth."""

SOFTNESS: Final = np.clip((np.arange(256, dtype=np.float32) / 255 - 0.2) / 0.4, 0.0, 1.0)
"""How much of a pixel is stroke, by the ink in it."""

STROKE: Final = int(np.argmax(SOFTNESS >= 0.5))
"""The ink from which on a pixel is stroke by a half or more."""

SHARES: Final = {"train": 0.7, "val": 0.15, "test": 0.15}
"""The fraction of the glyphs of every digit that each split draws from."""

SPLIT_SEED: Final = 8
"""Of the division into splits: fixed, so no seed of a run brings a test glyph into training."""


class Glyphs(NamedTuple):
    """n enlarged glyphs."""

    ink: NDArray[np.uint8]  # (n, 50, 50), 0 to 255
    digit: NDArray[np.int64]  # (n,)
    box: NDArray[np.float32]  # (n, 4) x1 y1 x2 y2 around the strokes, in pixels of `ink`
    source: NDArray[np.int64]  # (n,) the index in scikit-learn's data set


def glyphs_of(split: str) -> Glyphs:
    """Return the glyphs of one split: no glyph is in two, every digit is shared out in the proportions of `SHARES`."""
    images, target = _load()
    names = list(SHARES)
    bounds = np.cumsum([0.0, *SHARES.values()])
    first, last = bounds[names.index(split)], bounds[names.index(split) + 1]
    chosen: list[int] = []
    for digit in range(10):
        members = np.random.default_rng((SPLIT_SEED, digit)).permutation(np.flatnonzero(target == digit))
        chosen += members[round(first * len(members)) : round(last * len(members))].tolist()
    source = np.sort(np.asarray(chosen, dtype=np.int64))
    padded = np.pad(images[source], ((0, 0), (1, 1), (1, 1))) * np.float32(255 / 16)
    large = [cv2.resize(image, None, fx=FACTOR, fy=FACTOR, interpolation=cv2.INTER_CUBIC) for image in padded]
    ink = np.clip(np.stack(large), 0, 255).astype(np.uint8)
    box = np.asarray([_box(picture >= 128) for picture in ink], dtype=np.float32)
    return Glyphs(ink, target[source], box, source)


@cache
def _load() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return scikit-learn's images, (1797, 8, 8) from 0 to 16, and their digits; parsing them takes a while."""
    digits = load_digits()
    return digits.images.astype(np.float32), digits.target.astype(np.int64)


def _box(strokes: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(strokes.view(np.uint8))
    return x, y, x + width, y + height


def draw_glyph(
    ink: NDArray[np.uint8], box: NDArray[np.float32], height: float, aspect: float, degrees: float
) -> NDArray[np.uint8]:
    """Return the ink of each pixel, an index of `SOFTNESS`, cut to the pixels that have `STROKE` or more of it.

    `height` is that of the upright glyph in pixels, `aspect` stretches its width, `degrees` turn it.
    """
    left, top, right, bottom = box.tolist()
    scale = height / (bottom - top)
    angle = math.radians(degrees)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    side = math.ceil(math.hypot(height, (right - left) * scale * aspect)) + 4
    x, y = (left + right - 1) / 2, (top + bottom - 1) / 2  # centres, of pixels
    matrix = np.asarray([[cos * aspect, sin, 0.0], [-sin * aspect, cos, 0.0]])
    matrix[:, 2] = (side - 1) / 2 - matrix[:, :2] @ (x, y)
    drawn = cv2.warpAffine(ink, matrix, (side, side), flags=cv2.INTER_LINEAR)
    x1, y1, x2, y2 = _box(drawn >= STROKE)
    return np.asarray(drawn[y1:y2, x1:x2], dtype=np.uint8)
