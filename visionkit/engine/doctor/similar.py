"""Find the pictures that may be the same as others, also where one of them was cut a little at its sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionkit.engine.doctor.looking import SIDE

LIKE: Final = 0.75
"""The correlation from which on a pair is looked at closely.

Measured on five data sets (photos, microscope images, a film) and copies of each: re-encoded, resized, brightened,
up to a tenth cut off anywhere. Every copy had at least 0.77 with its original, which was the most alike but for one
in a thousand, where it came second."""

MOST: Final = 3
"""Partners a picture that are looked at: so many in other splits and so many in its own."""

_CELLS = 8
_SPANS = ((0.0, 1.0), (0.0, 0.9), (0.1, 1.0), (0.05, 0.95))
WINDOWS: Final = tuple(product(_SPANS, _SPANS))
"""The parts of a picture, down and across as fractions, that another picture may be the whole of."""

_BLOCK = 1024  # pictures: 1024 x 1024 correlations are 4 MB, whatever the number of all


def _averaging(low: float, high: float) -> NDArray[np.float32]:
    """Return the matrix (cells, SIDE) that averages the pixels between two fractions of a side into cells."""
    edges = np.linspace(low * SIDE, high * SIDE, _CELLS + 1)
    pixel = np.arange(SIDE)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = covered.clip(0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


_MATRICES = np.stack([np.kron(_averaging(*down), _averaging(*across)).T for down, across in WINDOWS])


def views(small: NDArray[Any]) -> NDArray[np.float32]:
    """Return each window of small grey pictures (N, SIDE, SIDE) as a vector of length 1: (windows, N, cells).

    Brightness and contrast are taken out; a window of one colour becomes zeros, which are like nothing.
    """
    seen = small.reshape(len(small), -1).astype(np.float32) @ _MATRICES
    seen -= seen.mean(axis=2, keepdims=True)
    length = np.linalg.norm(seen, axis=2, keepdims=True)
    return np.where(length > 1e-3, seen / np.maximum(length, 1e-3), 0).astype(np.float32)


def pairs(
    small: NDArray[np.uint8], split: NDArray[np.integer[Any]], advance: Callable[[int], object] = lambda _: None
) -> Iterator[tuple[int, int]]:
    """Yield the pairs (first, second), first below second, that are worth a closer look.

    `small` (N, SIDE, SIDE) are grey pictures, `split` (N,) numbers what each belongs to. `advance` is told how many
    more blocks of comparisons are done, of `num_blocks`.
    """
    num = len(small)
    best = np.full((num, 2, MOST), LIKE, dtype=np.float32)  # in its own split, in others
    partner = np.full((num, 2, MOST), -1, dtype=np.int64)
    for top in range(0, num, _BLOCK):
        rows = np.arange(top, min(top + _BLOCK, num))
        one = views(small[rows])
        for left in range(top, num, _BLOCK):
            columns = np.arange(left, min(left + _BLOCK, num))
            other = one if left == top else views(small[columns])
            like = one[0] @ other[0].T
            for number in range(1, len(WINDOWS)):
                np.maximum(like, one[0] @ other[number].T, out=like)
                np.maximum(like, one[number] @ other[0].T, out=like)
            like[rows[:, None] == columns] = -1
            apart = split[rows][:, None] != split[columns]
            for kind in (0, 1):
                own = np.where(apart == bool(kind), like, -1)
                _keep(best[:, kind], partner[:, kind], rows, columns, own)
                if left != top:
                    _keep(best[:, kind], partner[:, kind], columns, rows, own.T)
            advance(1)
    first = np.nonzero(partner >= 0)[0]
    second = partner[partner >= 0]
    found = np.unique(np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1), axis=0)
    yield from ((int(one), int(two)) for one, two in found)


def num_blocks(num: int) -> int:
    """Return how many blocks of comparisons `num` pictures need."""
    side = -(-num // _BLOCK)
    return side * (side + 1) // 2


def _keep(
    best: NDArray[np.float32],
    partner: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    like: NDArray[np.float32],
) -> None:
    """Put the best of new partners beside those that each row has, and keep `MOST` of them."""
    count = min(MOST, len(columns))
    chosen = np.argpartition(-like, count - 1, axis=1)[:, :count]
    merged = np.concatenate([best[rows], np.take_along_axis(like, chosen, axis=1)], axis=1)
    names = np.concatenate([partner[rows], columns[chosen]], axis=1)
    order = np.argsort(-merged, axis=1, kind="stable")[:, :MOST]
    best[rows] = np.take_along_axis(merged, order, axis=1)
    partner[rows] = np.take_along_axis(names, order, axis=1)
