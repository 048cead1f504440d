"""Take scikit-learn's handwritten digits apart into glyphs that can be drawn at any size and angle."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

FACTOR: Final = 5
"""How much a glyph is enlarged before it is warped, so that linear interpolation of the warp is smooth."""

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
    digits = load_digits()
    names = list(SHARES)
    bounds = np.cumsum([0.0, *SHARES.values()])
    first, last = bounds[names.index(split)], bounds[names.index(split) + 1]
    chosen: list[int] = []
    for digit in range(10):
        members = np.random.default_rng((SPLIT_SEED, digit)).permutation(np.flatnonzero(digits.target == digit))
        chosen += members[round(first * len(members)) : round(last * len(members))].tolist()
    source = np.sort(np.asarray(chosen, dtype=np.int64))
    ink = np.stack([_enlarge(image) for image in digits.images[source]])
    box = np.stack([_box(picture >= 128) for picture in ink])
    return Glyphs(ink, digits.target[source].astype(np.int64), box, source)


def _enlarge(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    padded = np.pad(image.astype(np.float32), 1) * (255 / 16)
    large = cv2.resize(padded, None, fx=FACTOR, fy=FACTOR, interpolation=cv2.INTER_CUBIC)
    return np.clip(large, 0, 255).astype(np.uint8)


def _box(strokes: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = np.flatnonzero(strokes.any(axis=1)), np.flatnonzero(strokes.any(axis=0))
    return np.asarray([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)


def draw_glyph(
    ink: NDArray[np.uint8], box: NDArray[np.float32], height: float, aspect: float, degrees: float
) -> NDArray[np.float32]:
    """Return how much of each pixel is stroke, 0 to 1, cut to the pixels that are stroke by a half or more.

    `height` is that of the upright glyph in pixels, `aspect` stretches its width, `degrees` turn it.
    """
    scale = height / float(box[3] - box[1])
    angle = math.radians(degrees)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    side = math.ceil(math.hypot(height, float(box[2] - box[0]) * scale * aspect)) + 4
    x, y = float(box[0] + box[2] - 1) / 2, float(box[1] + box[3] - 1) / 2  # centres, of pixels
    matrix = np.asarray([[cos * aspect, sin, 0.0], [-sin * aspect, cos, 0.0]])
    matrix[:, 2] = (side - 1) / 2 - matrix[:, :2] @ (x, y)
    warped = cv2.warpAffine(ink, matrix, (side, side), flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    soft = np.clip((warped - 0.2) / 0.4, 0.0, 1.0)
    x1, y1, x2, y2 = _box(soft >= 0.5).astype(int)
    return np.asarray(soft[y1:y2, x1:x2])
