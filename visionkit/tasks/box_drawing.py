"""Draw boxes whose tags stay inside the picture and out of each other's way."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.tasks.drawing import Colour, enlarge, line_width, shorten, tag, tag_size, text_height
from visionkit.types import Image

_Rect = tuple[int, int, int, int]  # x1 y1 x2 y2, ends excluded


def draw_boxes(image: Image, boxes_N4: NDArray[np.float32], texts: Sequence[str], colours: Sequence[Colour]) -> Image:
    """Return the picture, enlarged if tiny, with one tagged box a row; earlier rows lie on top."""
    canvas, factor = enlarge(image)
    height, width = canvas.shape[:2]
    line = max(2, line_width(canvas))
    rects: list[_Rect] = []
    for box in (boxes_N4 * factor).round().astype(int).tolist():
        x1, y1 = min(max(box[0], 0), width - 1), min(max(box[1], 0), height - 1)
        rects.append((x1, y1, min(max(box[2], x1 + 1), width), min(max(box[3], y1 + 1), height)))
    order = range(len(rects) - 1, -1, -1)
    for i in order:
        _outline(canvas, rects[i], (0, 0, 0), line + 2)  # a dark rim, seen on any background
        _outline(canvas, rects[i], colours[i], line)
    letters = text_height(canvas)
    placed: list[tuple[int, int, str]] = []
    taken: list[_Rect] = []
    for i, rect in enumerate(rects):
        text = shorten(texts[i], letters, width - letters)
        place = _place(rect, tag_size(text, letters), (width, height), taken)
        taken.append(place)
        placed.append((place[0], place[1], text))
    for i in order:
        left, top, text = placed[i]
        tag(canvas, text, left, top, letters, colours[i])
    return canvas


def _outline(image: Image, rect: _Rect, colour: Colour, line: int) -> None:
    cv2.rectangle(image, (rect[0], rect[1]), (rect[2] - 1, rect[3] - 1), colour, line)


def _place(rect: _Rect, size: tuple[int, int], limit: tuple[int, int], taken: Sequence[_Rect]) -> _Rect:
    """Return where a tag goes: of the places at the box, inside the picture, the one that hides other tags least."""
    x1, y1, x2, y2 = rect
    wide, tall = size
    corners = [(x, y) for y in (y1 - tall, y1, y2, y2 - tall) for x in (x1, x2 - wide)]  # above, inside, below
    best, least = rect, float("inf")
    for x, y in corners:
        left, top = max(0, min(x, limit[0] - wide)), max(0, min(y, limit[1] - tall))
        place = (left, top, left + wide, top + tall)
        hidden = sum(_overlap(place, other) for other in taken)
        if hidden < least:
            best, least = place, hidden
    return best


def _overlap(a: _Rect, b: _Rect) -> int:
    """Return the pixels that two rectangles share."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
