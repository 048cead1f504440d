"""Find boxes that cannot be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionkit.data.report import Report

SLACK: Final = 1.0
"""Pixels by which a box may reach beyond its image without a word: rounding, and counting from 1."""


def sound_boxes(
    boxes: NDArray[np.float64],
    labels: NDArray[np.int64],
    size: tuple[int, int] | NDArray[np.int64] | None,
    where: Callable[[int], str],
    report: Report,
) -> NDArray[np.int64]:
    """Return the rows of boxes (n, 4), x1 y1 x2 y2 in pixels, that can be used; the report says why the others cannot.

    Left out are boxes of no area, inverted ones and repeated ones of the same label: boxes of several images have
    labels of their own in each. Those beyond their image are kept: whoever reads the sample clips them to what was
    decoded. `size` is the height and width of one image or of each box's, None = unknown; `where` names a row's file
    and place.
    """
    if not len(boxes):
        return np.empty(0, dtype=np.int64)
    sides = boxes[:, 2:] - boxes[:, :2]
    inverted = (sides < 0).any(axis=1)
    empty = ~inverted & (sides == 0).any(axis=1)
    first = np.unique(np.column_stack([boxes, labels]), axis=0, return_index=True)[1]
    repeated = ~inverted & ~empty & ~np.isin(np.arange(len(boxes)), first)
    outside = np.zeros(len(boxes), dtype=bool)
    if size is not None:
        beyond = (boxes[:, :2] < -SLACK) | (boxes[:, 2:] > np.asarray(size)[..., ::-1] + SLACK)
        outside = beyond.any(axis=1) & ~inverted & ~empty & ~repeated
    for code, wrong, text in (
        ("box_empty", empty, "a box of no area is left out; draw or delete it"),
        ("box_inverted", inverted, "a box that ends before it begins is left out; exchange its edges"),
        ("box_duplicate", repeated, "a box that is there twice with the same label is counted once; delete the other"),
        ("box_outside", outside, "a box that reaches beyond its image is clipped to it; correct its edges"),
    ):
        for row in np.flatnonzero(wrong).tolist():
            report.warning(code, where(row), text)
    return np.flatnonzero(~inverted & ~empty & ~repeated)
