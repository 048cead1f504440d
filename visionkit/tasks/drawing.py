"""Draw text, tags, legends and bars that stay legible on a picture of any size; all colours are RGB."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from visionkit.types import Image

Colour = tuple[int, int, int]

SMALLEST: Final = 320
"""Pixels: the longer side that a picture has at least before anything is drawn on it."""

PANEL: Final[Colour] = (24, 26, 30)
INK: Final[Colour] = (236, 238, 240)

_NARROWEST = 26  # text heights: a strip below a picture is no narrower
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def enlarge(image: Image) -> tuple[Image, int]:
    """Return a copy whose longer side has at least `SMALLEST` pixels, and the whole factor it was enlarged by.

    Pixels are repeated, not blurred: of a picture of 8 x 8 one wants to see the 8 x 8 pixels.
    """
    factor = max(1, -(-SMALLEST // _longer(image)))
    return np.ascontiguousarray(image.repeat(factor, axis=0).repeat(factor, axis=1)), factor


def text_height(image: Image) -> int:
    """Return the height in pixels of a capital letter that suits the picture."""
    shorter = int(min(image.shape[:2]))
    return min(max(round(min(0.02 * _longer(image), shorter / 8)), 9), 44)


def line_width(image: Image) -> int:
    """Return the width in pixels of a line that suits the picture."""
    return max(1, round(_longer(image) / 400))


def text_width(text: str, height: int) -> int:
    """Return the pixels that a line of text takes."""
    (width, _), _ = cv2.getTextSize(_ascii(text), _FONT, _scale(height), _thickness(height))
    return int(width)


def put_text(image: Image, text: str, left: int, top: int, height: int, colour: Colour) -> None:
    """Write onto the picture itself, capitals from `top` to `top + height`."""
    origin = (left, top + height)
    cv2.putText(image, _ascii(text), origin, _FONT, _scale(height), colour, _thickness(height), cv2.LINE_AA)


def shorten(text: str, height: int, width: int) -> str:
    """Return the text, its end replaced by dots where it is wider than `width` pixels."""
    if text_width(text, height) <= width:
        return text
    while text and text_width(text + "...", height) > width:
        text = text[:-1]
    return text + "..."


def contrasting(colour: Colour) -> Colour:
    """Return black or white, whichever can be read on the colour (Rec. 709 luma)."""
    return (0, 0, 0) if float(np.dot(colour, (0.2126, 0.7152, 0.0722))) > 125 else (255, 255, 255)


def tag(image: Image, text: str, left: int, top: int, height: int, colour: Colour) -> None:
    """Write on a filled rectangle of `tag_size`, onto the picture itself."""
    width, tall = tag_size(text, height)
    cv2.rectangle(image, (left, top), (left + width - 1, top + tall - 1), colour, cv2.FILLED)
    put_text(image, text, left + height // 2, top + (tall - height) // 2, height, contrasting(colour))


def tag_size(text: str, height: int) -> tuple[int, int]:
    """Return width and height in pixels of a tag."""
    return text_width(text, height) + height, height + 2 * round(0.4 * height)


def with_legend(image: Image, entries: Sequence[tuple[str, Colour]]) -> Image:
    """Return the picture on top of a strip that names the colours, in as many lines as it takes."""
    if not entries:
        return image
    height = text_height(image)
    gap, width = height, max(image.shape[1], _NARROWEST * height)
    places, left, top = [], gap, gap
    for name, colour in entries:
        text = shorten(name, height, width - 4 * gap)
        wide = 2 * gap + text_width(text, height)
        if left > gap and left + wide + gap > width:
            left, top = gap, top + 2 * height
        places.append((text, colour, left, top))
        left += wide + gap
    strip = _panel(top + 2 * height, width)
    for text, colour, x, y in places:
        cv2.rectangle(strip, (x, y), (x + height, y + height), colour, cv2.FILLED)
        put_text(strip, text, x + 2 * gap, y, height, INK)
    return _stack(image, strip)


def with_bars(image: Image, rows: Sequence[tuple[str, float, Colour]]) -> Image:
    """Return the picture on top of a strip with one bar a row: name, fraction 0 to 1, colour."""
    height = text_height(image)
    width, pitch = max(image.shape[1], _NARROWEST * height), 2 * height
    percent = text_width("100.0 %", height)
    room = width - 4 * height - percent
    named = [shorten(name, height, room // 2) for name, _, _ in rows]
    start = 2 * height + max(text_width(name, height) for name in named)
    end = width - 2 * height - percent
    strip = _panel(pitch * len(rows) + height, width)
    for i, (name, (_, fraction, colour)) in enumerate(zip(named, rows, strict=True)):
        top = height + pitch * i
        put_text(strip, name, height, top, height, INK)
        cv2.rectangle(strip, (start, top), (end, top + height), (62, 66, 72), cv2.FILLED)
        if fraction > 0:
            cv2.rectangle(strip, (start, top), (start + round((end - start) * fraction), top + height), colour, -1)
        number = f"{100 * fraction:.1f} %"
        put_text(strip, number, width - height - text_width(number, height), top, height, INK)
    return _stack(image, strip)


def _panel(height: int, width: int) -> Image:
    return np.full((height, width, 3), PANEL, dtype=np.uint8)


def _stack(image: Image, strip: Image) -> Image:
    """Put a strip below a picture that may be narrower."""
    spare = strip.shape[1] - image.shape[1]
    sides = (spare // 2, spare - spare // 2)
    wide = cv2.copyMakeBorder(image, 0, 0, *sides, cv2.BORDER_CONSTANT, value=PANEL)
    return np.concatenate([wide.astype(np.uint8), strip])


def _scale(height: int) -> float:
    (_, tall), _ = cv2.getTextSize("H", _FONT, 1.0, 1)
    return height / float(tall)


def _thickness(height: int) -> int:
    return max(1, round(height / 10))


def _ascii(text: str) -> str:
    """Spell in ASCII, which is all that OpenCV 4 can write: é becomes e, a sign it does not know ?."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode()


def _longer(image: Image) -> int:
    return int(max(image.shape[:2]))
