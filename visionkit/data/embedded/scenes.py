"""Compose a scene of handwritten digits with every label that a head can learn from."""

from __future__ import annotations

from copy import deepcopy
from typing import Final, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.embedded.backdrop import paint_backdrop
from visionkit.data.embedded.glyphs import SOFTNESS, STROKE, Glyphs, draw_glyph

_T = TypeVar("_T", np.uint8, np.float32)

MIN_HEIGHT: Final = 16
"""Of a digit, in pixels of a scene whose shorter side is 64; larger scenes have larger digits."""

MAIN_RATIO: Final = 1.7
"""The largest box of a scene has at least this many times the area of the next: it gives the scene its class."""

TRIES: Final = 25
"""How often a digit is placed anew before the scene does without it, and a scene is begun anew before giving up."""


_NEAR: Final = np.ones((5, 5), dtype=np.uint8)


class Piece(NamedTuple):
    """A digit in its place: (y, x) is the corner of its box."""

    digit: int
    ink: NDArray[np.uint8]  # an index of `SOFTNESS` by pixel
    y: int
    x: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The pixels x1 y1 x2 y2, tight around those that are stroke by a half or more."""
        return self.x, self.y, self.x + self.ink.shape[1], self.y + self.ink.shape[0]

    def of(self, canvas: NDArray[_T]) -> NDArray[_T]:
        """Return the piece's part of a canvas, as a view."""
        height, width = self.ink.shape
        return canvas[self.y : self.y + height, self.x : self.x + width]


class Scene(NamedTuple):
    """What is where in a picture that is not painted yet."""

    size: tuple[int, int]
    pieces: list[Piece]  # the main digit first
    rng: np.random.Generator  # where arranging left it


def arrange(rng: np.random.Generator, glyphs: Glyphs, size: tuple[int, int], least: int, most: int) -> Scene | None:
    """Return a scene with `least` to `most` digits, or None when so many find no room.

    No two digits touch, every digit lies inside the picture.
    """
    for _ in range(TRIES):
        pieces = _place(rng, glyphs, size, int(rng.integers(least, most + 1)))
        if len(pieces) >= least:
            return Scene(size, pieces, rng)
    return None


def paint(scene: Scene) -> NDArray[np.uint8]:
    """Return the (H, W, 3) picture of a scene: the same whenever it is painted, and however often."""
    rng = deepcopy(scene.rng)
    canvas = paint_backdrop(rng, *scene.size).astype(np.float32)
    for piece in scene.pieces:
        _blend(rng, canvas, piece)
    canvas += rng.uniform(3, 7) * rng.standard_normal(canvas.shape, dtype=np.float32)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _place(rng: np.random.Generator, glyphs: Glyphs, size: tuple[int, int], number: int) -> list[Piece]:
    """Choose and place up to `number` digits; the first is the main one, the rest are kept `MAIN_RATIO` smaller."""
    unit = min(size) / 64
    pieces: list[Piece] = []
    strokes = np.zeros(size, dtype=np.uint8)
    taken = np.zeros(size, dtype=np.uint8)
    for _ in range(TRIES):
        if len(pieces) == number:
            break
        if not pieces:
            low, high = (24.0, 44.0) if number == 1 else (30.0, 44.0)
        else:
            low, high = float(MIN_HEIGHT), 28.0
        index = int(rng.integers(len(glyphs.digit)))
        height, aspect, degrees = rng.uniform(low, high) * unit, rng.uniform(0.85, 1.2), rng.uniform(-15, 15)
        ink = draw_glyph(glyphs.ink[index], glyphs.box[index], height, aspect, degrees)
        if pieces and ink.size * MAIN_RATIO > pieces[0].ink.size:
            height *= (pieces[0].ink.size / MAIN_RATIO / ink.size) ** 0.5 * 0.97
            if height < MIN_HEIGHT * unit:
                continue
            ink = draw_glyph(glyphs.ink[index], glyphs.box[index], height, aspect, degrees)
            if ink.size * MAIN_RATIO > pieces[0].ink.size:
                continue
        if ink.shape[0] > size[0] or ink.shape[1] > size[1]:
            continue
        stroke = (ink >= STROKE).view(np.uint8)
        corner = _free_corner(rng, taken, stroke)
        if corner is None:
            continue
        pieces.append(Piece(int(glyphs.digit[index]), ink, *corner))
        part = pieces[-1].of(strokes)
        part |= stroke
        cv2.dilate(strokes, _NEAR, dst=taken)
    return pieces


def _free_corner(
    rng: np.random.Generator, taken: NDArray[np.uint8], stroke: NDArray[np.uint8]
) -> tuple[int, int] | None:
    """Return a corner (y, x) where no stroke is on pixels that are taken; the box may be on a few."""
    height, width = stroke.shape
    for _ in range(8):
        y = int(rng.integers(taken.shape[0] - height + 1))
        x = int(rng.integers(taken.shape[1] - width + 1))
        region = taken[y : y + height, x : x + width]
        if not (region & stroke).any() and cv2.countNonZero(region) / region.size < 0.05:
            return y, x
    return None


def _blend(rng: np.random.Generator, canvas: NDArray[np.float32], piece: Piece) -> None:
    """Blend a digit in, darker or lighter than what is behind it, in a colour of its own."""
    region = piece.of(canvas)
    behind = float(region.mean())
    contrast = rng.uniform(75, 140)
    lighter = bool(rng.integers(2))
    if behind + contrast > 250:
        lighter = False
    elif behind - contrast < 5:
        lighter = True
    colour = behind + (contrast if lighter else -contrast) + rng.normal(0, 18, 3)
    region += SOFTNESS[piece.ink][..., None] * (colour.astype(np.float32) - region)
