"""Compose a scene of handwritten digits with every label that a head can learn from."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.backdrop import paint_backdrop
from visionkit.data.glyphs import Glyphs, draw_glyph

MIN_HEIGHT: Final = 16
"""Of a digit, in pixels of a scene whose shorter side is 64; larger scenes have larger digits."""

MAIN_RATIO: Final = 1.7
"""The largest box of a scene has at least this many times the area of the next: it gives the scene its class."""

TRIES: Final = 25
"""How often a digit is placed anew before the scene does without it, and a scene is begun anew before giving up."""


class Scene(NamedTuple):
    """One picture and its labels, the main digit first."""

    image: NDArray[np.uint8]  # (H, W, 3)
    instances: NDArray[np.uint8]  # (H, W), k + 1 = digit k
    digit: NDArray[np.int64]  # (n,)
    boxes: NDArray[np.float32]  # (n, 4)


class _Piece(NamedTuple):
    """A digit in its place: (y, x) is the corner, `soft` how much of each pixel is stroke."""

    digit: int
    soft: NDArray[np.float32]
    y: int
    x: int

    @property
    def area(self) -> int:
        return int(self.soft.size)


def compose(rng: np.random.Generator, glyphs: Glyphs, size: tuple[int, int], least: int, most: int) -> Scene | None:
    """Return a scene with `least` to `most` digits, or None when so many find no room.

    No two digits touch, every digit lies inside the picture. Boxes are tight around the pixels that are stroke by a
    half or more; those pixels make up the instance map.
    """
    for _ in range(TRIES):
        pieces, instances = _arrange(rng, glyphs, size, int(rng.integers(least, most + 1)))
        if len(pieces) >= least:
            break
    else:
        return None
    canvas = paint_backdrop(rng, *size).astype(np.float32)
    for piece in pieces:
        _paint(rng, canvas, piece)
    canvas += rng.uniform(3, 7) * rng.standard_normal(canvas.shape, dtype=np.float32)
    boxes = [(p.x, p.y, p.x + p.soft.shape[1], p.y + p.soft.shape[0]) for p in pieces]
    return Scene(
        image=np.clip(canvas, 0, 255).astype(np.uint8),
        instances=instances,
        digit=np.asarray([piece.digit for piece in pieces], dtype=np.int64),
        boxes=np.asarray(boxes, dtype=np.float32),
    )


def _arrange(
    rng: np.random.Generator, glyphs: Glyphs, size: tuple[int, int], number: int
) -> tuple[list[_Piece], NDArray[np.uint8]]:
    """Choose and place up to `number` digits; the first is the main one, the rest are kept `MAIN_RATIO` smaller."""
    unit = min(size) / 64
    pieces: list[_Piece] = []
    instances = np.zeros(size, dtype=np.uint8)
    for _ in range(TRIES):
        if len(pieces) == number:
            break
        if not pieces:
            low, high = (24.0, 44.0) if number == 1 else (30.0, 44.0)
        else:
            low, high = float(MIN_HEIGHT), 28.0
        index = int(rng.integers(len(glyphs.digit)))
        height, aspect, degrees = rng.uniform(low, high) * unit, rng.uniform(0.85, 1.2), rng.uniform(-15, 15)
        soft = draw_glyph(glyphs.ink[index], glyphs.box[index], height, aspect, degrees)
        if pieces and soft.size * MAIN_RATIO > pieces[0].area:
            height *= (pieces[0].area / MAIN_RATIO / soft.size) ** 0.5 * 0.97
            if height < MIN_HEIGHT * unit:
                continue
            soft = draw_glyph(glyphs.ink[index], glyphs.box[index], height, aspect, degrees)
            if soft.size * MAIN_RATIO > pieces[0].area:
                continue
        if soft.shape[0] > size[0] or soft.shape[1] > size[1]:
            continue
        corner = _free_place(rng, instances, soft)
        if corner is None:
            continue
        piece = _Piece(int(glyphs.digit[index]), soft, *corner)
        pieces.append(piece)
        region = instances[piece.y : piece.y + soft.shape[0], piece.x : piece.x + soft.shape[1]]
        region[soft >= 0.5] = len(pieces)
    return pieces, instances


def _free_place(
    rng: np.random.Generator, instances: NDArray[np.uint8], soft: NDArray[np.float32]
) -> tuple[int, int] | None:
    """Return a corner (y, x) where the strokes stay two pixels away from all others; boxes may overlap a little."""
    taken = cv2.dilate(np.minimum(instances, 1), np.ones((5, 5), dtype=np.uint8))
    height, width = soft.shape
    for _ in range(8):
        y = int(rng.integers(instances.shape[0] - height + 1))
        x = int(rng.integers(instances.shape[1] - width + 1))
        region = taken[y : y + height, x : x + width]
        if not region[soft >= 0.5].any() and region.mean() < 0.05:
            return y, x
    return None


def _paint(rng: np.random.Generator, canvas: NDArray[np.float32], piece: _Piece) -> None:
    """Blend a digit in, darker or lighter than what is behind it, in a colour of its own."""
    height, width = piece.soft.shape
    region = canvas[piece.y : piece.y + height, piece.x : piece.x + width]
    behind = float(region.mean())
    contrast = rng.uniform(75, 140)
    lighter = bool(rng.integers(2))
    if behind + contrast > 250:
        lighter = False
    elif behind - contrast < 5:
        lighter = True
    colour = behind + (contrast if lighter else -contrast) + rng.normal(0, 18, 3)
    soft = piece.soft[..., None]
    region += soft * (colour.astype(np.float32) - region)
