"""Draw the part of an image that a training sample shows, before anything is decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from visionkit.data.geometry import Crop, Placement

TRIES: Final = 10
"""How often a window is drawn anew that does not fit into the image, before its middle is taken."""


@dataclass(frozen=True)
class RandomCrop:
    """Draws windows of a random area and aspect, which fill the network's size.

    After Szegedy et al.: Going Deeper with Convolutions (2015), section 6, as torchvision's RandomResizedCrop does it.
    `scale` is the range of the window's share of the image's area, `ratio` that of its aspect (width by height, drawn
    evenly on a logarithmic scale), here relative to the aspect of the network's input: 1 distorts nothing.

    With a scale above 1 windows may be larger than the image, which is then seen smaller than it is, with grey around;
    without `beyond` they are cut to its own area.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float]

    def draw(
        self, rng: np.random.Generator, height: int, width: int, size: tuple[int, int], *, beyond: bool
    ) -> Placement:
        """Return the placement of a random window of an image of `height` x `width` pixels at `size`."""
        low, high = self.scale
        if not beyond:
            low, high = min(low, 1.0), min(high, 1.0)
        narrow, wide = (math.log(bound) for bound in self.ratio)
        for _ in range(TRIES):
            drawn = rng.random(4).tolist()  # one call, as each costs more than the arithmetic
            area = height * width * (low + drawn[0] * (high - low))
            aspect = math.exp(narrow + drawn[1] * (wide - narrow)) * size[1] / size[0]
            window = (max(1, round(math.sqrt(area / aspect))), max(1, round(math.sqrt(area * aspect))))
            if high > 1 or (window[0] <= height and window[1] <= width):
                origin = (_within(height - window[0], drawn[2]), _within(width - window[1], drawn[3]))
                return _place((height, width), origin, window, size)
        return Crop(size).place(height, width)


def _within(room: int, share: float) -> int:
    """Return a whole number from 0 to `room`, which may be negative: the one at a share (0 to below 1) of them."""
    return min(0, room) + int(share * (abs(room) + 1))


def _place(source: tuple[int, int], origin: Sequence[int], window: tuple[int, int], size: tuple[int, int]) -> Placement:
    """Return the placement of a window that may be larger than its source: what is outside is left empty."""
    (top, height, above, rows), (left, width, before, columns) = (
        _along(*each) for each in zip(origin, window, source, size, strict=True)
    )
    return Placement(source, (top, left, height, width), (rows, columns), (above, before), size)


def _along(start: int, part: int, whole: int, side: int) -> tuple[int, int, int, int]:
    """Return where a window begins in its source and how much of it is there, then the same of what it becomes."""
    begin, end = max(0, start), min(whole, start + part)
    first = min(side - 1, round((begin - start) * side / part))
    return begin, end - begin, first, max(1, round((end - start) * side / part) - first)
