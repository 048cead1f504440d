"""Work out which pixels the cells of a map see, along one axis of the image.

Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks (Distill, 2019), section "Computing
receptive field region", with three things that it leaves out: enlarged maps, whose windows differ from cell to cell;
branches that meet with other windows; and poolings of all cells. Pixel p of an image lies between the coordinates p
and p + 1, as boxes have them; windows reach over the border where padding does.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import reduce
from typing import NamedTuple


class Span(NamedTuple):
    """Pixels from the edge `low` to the edge `high`."""

    low: float
    high: float


class Windows(ABC):
    """What each cell along an axis sees; cells are numbered from 0, those below and beyond are padding."""

    jump: float
    """Pixels from one cell's window to the next's, on average; 0 where all see the same."""

    context: bool = False
    """Whether each cell also depends on the whole axis, through squeeze-excitation or statistics of the map."""

    @abstractmethod
    def at(self, cell: int) -> Span:
        """Return the window of a cell."""


class Regular(Windows):
    """Windows of one size, one every `jump` pixels: of maps that were never enlarged."""

    def __init__(self, first: Span, jump: float, context: bool = False) -> None:
        self.first, self.jump, self.context = first, jump, context

    def at(self, cell: int) -> Span:
        """Return the first cell's window, shifted."""
        return Span(self.first.low + self.jump * cell, self.first.high + self.jump * cell)


class Same(Windows):
    """One window for every cell: of what a pooling of all cells made."""

    jump = 0.0

    def __init__(self, window: Span) -> None:
        self.window = window

    def at(self, cell: int) -> Span:
        """Return the one window."""
        return self.window


class Irregular(Windows):
    """Windows that differ from cell to cell, worked out when asked for."""

    def __init__(self, window: Callable[[int], Span], jump: float, context: bool = False) -> None:
        self.window, self.jump, self.context = window, jump, context
        self.known: dict[int, Span] = {}

    def at(self, cell: int) -> Span:
        """Return the window of a cell."""
        if cell not in self.known:
            self.known[cell] = self.window(cell)
        return self.known[cell]


PIXELS: Windows = Regular(Span(0, 1), 1)
"""The image itself."""


def slide(of: Windows, kernel: int, stride: int, padding: int, dilation: int = 1) -> Windows:
    """Return what the cells of a convolution or a pool see; a shift by n cells is a kernel of 1, padded by -n."""
    reach = dilation * (kernel - 1)
    if isinstance(of, Same):
        return of
    if isinstance(of, Regular):
        first = Span(of.at(-padding).low, of.at(reach - padding).high)
        return Regular(first, of.jump * stride, of.context)

    def window(cell: int) -> Span:
        start = cell * stride - padding
        return Span(of.at(start).low, of.at(start + reach).high)

    return Irregular(window, of.jump * stride, of.context)


def spread(of: Windows, kernel: int, stride: int, padding: int, dilation: int = 1) -> Windows:
    """Return what the cells of a transposed convolution see. Raises ValueError when some see nothing."""
    if isinstance(of, Same):
        return of
    if len({tap * dilation % stride for tap in range(kernel)}) < stride:
        raise ValueError("a transposed convolution leaves cells out")

    def window(cell: int) -> Span:
        starts = (cell + padding - tap * dilation for tap in range(kernel))
        return _hull(of.at(start // stride) for start in starts if start % stride == 0)

    return Irregular(window, of.jump / stride, of.context)


def nearest(of: Windows, scale: Fraction) -> Windows:
    """Return what a map enlarged by repeating cells sees; `scale` is in cells of the smaller map for one new cell."""
    if isinstance(of, Same) or scale == 1:
        return of
    return Irregular(lambda cell: of.at(math.floor(cell * scale)), of.jump * float(scale), of.context)


def linear(of: Windows, scale: Fraction, align_corners: bool = False) -> Windows:
    """Return what a map enlarged by interpolation between two cells sees."""
    if isinstance(of, Same) or scale == 1:
        return of
    half = Fraction(0) if align_corners else Fraction(1, 2)

    def window(cell: int) -> Span:
        place = (cell + half) * scale - half
        return Span(of.at(math.floor(place)).low, of.at(math.ceil(place)).high)

    return Irregular(window, of.jump * float(scale), of.context)


def adaptive(of: Windows, cells: int, made: int) -> Windows:
    """Return what the cells of an adaptive pool from `cells` to `made` see."""
    if isinstance(of, Same) or cells == made:
        return of
    if made == 1:
        return everything(of, cells)

    def window(cell: int) -> Span:
        return Span(of.at(cell * cells // made).low, of.at(-(-(cell + 1) * cells // made) - 1).high)

    return Irregular(window, of.jump * cells / made, of.context)


def everything(of: Windows, cells: int) -> Windows:
    """Return what a value made of all cells sees."""
    return of if isinstance(of, Same) else Same(Span(of.at(0).low, of.at(cells - 1).high))


def in_context(of: Windows) -> Windows:
    """Return the same windows, whose cells now depend on the whole axis too."""
    if isinstance(of, Same):
        return of
    if isinstance(of, Regular):
        return Regular(of.first, of.jump, context=True)
    return Irregular(of.at, of.jump, context=True)


def union(parts: Iterable[Windows], pixels: int) -> Windows:
    """Return what cells see that are made of those of several maps, on an axis of so many pixels."""
    return reduce(lambda left, right: _both(left, right, pixels), parts)


def _both(left: Windows, right: Windows, pixels: int) -> Windows:
    if isinstance(left, Same) and isinstance(right, Same):
        return Same(_hull([left.window, right.window]))
    for same, other in ((left, right), (right, left)):
        if isinstance(same, Same) and same.window.low <= 0 and same.window.high >= pixels:
            return in_context(other)
    context = left.context or right.context
    if isinstance(left, Regular) and isinstance(right, Regular) and left.jump == right.jump:
        return Regular(_hull([left.first, right.first]), left.jump, context)
    jump = right.jump if isinstance(left, Same) else left.jump
    return Irregular(lambda cell: _hull([left.at(cell), right.at(cell)]), jump, context)


def _hull(spans: Iterable[Span]) -> Span:
    lows, highs = zip(*spans, strict=True)
    return Span(min(lows), max(highs))
