"""Lay pictures out next to each other in one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from visionkit.tasks.drawing import INK, PANEL, enlarge, put_text, shorten
from visionkit.types import Image

_GAP = 6  # pixels between the pictures of a group
_MARGIN = 18  # pixels around groups
_TEXT = 11  # pixels: the height of a header's capitals


def side_by_side(groups: Sequence[Sequence[Image]], headers: Sequence[str], columns: int = 3, cell: int = 360) -> Image:
    """Lay out groups of pictures, such as truth and prediction, `columns` groups a row.

    `headers` names the pictures of a group (empty: no header line). A picture is shrunk to fit into `cell` x
    `cell` pixels, those of a group by the same factor; a tiny one is enlarged first.

    Raises:
        ValueError: There is no picture, or a group has not as many as there are headers.
    """
    if not groups or not groups[0]:
        raise ValueError("there are no pictures to lay out")
    count = len(headers) or len(groups[0])
    if any(len(group) != count for group in groups):
        raise ValueError(f"every group must have {count} pictures; got {sorted({len(group) for group in groups})}")
    fitted = [_fit([enlarge(image)[0] for image in group], cell) for group in groups]
    rows = [fitted[i : i + columns] for i in range(0, len(fitted), columns)]
    wide = max(image.shape[1] for group in fitted for image in group)
    tall = [max(image.shape[0] for group in row for image in group) for row in rows]
    pitch = count * wide + (count - 1) * _GAP + _MARGIN
    header = 2 * _TEXT if headers else 0
    across = min(columns, len(groups))
    page = np.full(
        (_MARGIN + header + sum(tall) + _MARGIN * len(rows), _MARGIN + pitch * across, 3), PANEL, dtype=np.uint8
    )
    for i in range(across):
        for j, text in enumerate(headers):
            left = _MARGIN + i * pitch + j * (wide + _GAP)
            put_text(page, shorten(text, _TEXT, wide), left, _MARGIN, _TEXT, INK)
    top = _MARGIN + header
    for row, height in zip(rows, tall, strict=True):
        for i, group in enumerate(row):
            for j, image in enumerate(group):
                left = _MARGIN + i * pitch + j * (wide + _GAP)
                page[top : top + image.shape[0], left : left + image.shape[1]] = image
        top += height + _MARGIN
    return page


def _fit(group: Sequence[Image], cell: int) -> list[Image]:
    """Return the pictures shrunk by one factor, so that each fits into a square of `cell` pixels."""
    factor = min(cell / max(image.shape[:2]) for image in group)
    if factor >= 1:
        return list(group)
    fitted = []
    for image in group:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        fitted.append(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
    return fitted
