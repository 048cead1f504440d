"""Draw axes and what is measured on them, as an SVG file that opens anywhere, in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from visionkit.engine.html import DARK, LIGHT, svg, text

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_LAYOUT = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
.title { font-size: 17px; font-weight: 600; } .thick { stroke-width: 2.5; } .thin { stroke-width: 1; }
.dashed { stroke-dasharray: 6 4; } .faint { opacity: .55; } path { fill: none; stroke-linejoin: round; }
"""


def picture(wide: float, high: float, marks: Iterable[str], label: str) -> str:
    """Return a drawing that is a file of its own, on a ground of its own.

    Marks are coloured by class, `fill-` or `draw-` and the name of a colour: not every viewer knows CSS variables,
    and those that know no dark mode show the light one.
    """
    dark = f"@media (prefers-color-scheme: dark) {{ {_colours(DARK)} }}"
    style = f"<style>{_LAYOUT}{_colours(LIGHT)}\n{dark}</style>"
    ground = f'<rect class="fill-back" width="{wide:.0f}" height="{high:.0f}" rx="6"/>'
    return svg(wide, high, [style, ground, *marks], label) + "\n"


def _colours(colours: dict[str, str]) -> str:
    rules = [f".fill-{n} {{ fill: {c}; }} .draw-{n} {{ stroke: {c}; }}" for n, c in colours.items()]
    return "\n".join([f"text {{ fill: {colours['ink']}; }} .dim {{ fill: {colours['dim']}; }}", *rules])


class Axis(NamedTuple):
    """The range of an axis."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Return how far along the axis a value lies, 0 to 1 within its range."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield values worth a line, with their names: each decade, or up to six round steps."""
        if self.log:
            for decade in range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1):
                yield 10.0**decade, "1" if decade == 0 else "10" + str(decade).translate(_SUPERSCRIPT)
            return
        rough = (self.high - self.low) / 6
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
        for number in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1):
            yield number * step, f"{number * step:.10g}"

    def minor(self) -> Iterator[float]:
        """Yield the multiples of the decades of a logarithmic axis."""
        for decade in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))):
            yield from (m * 10.0**decade for m in range(2, 10) if self.low < m * 10.0**decade < self.high)


class Panel(NamedTuple):
    """A field with two axes, in pixels of the drawing."""

    left: float
    top: float
    wide: float
    high: float
    x: Axis
    y: Axis

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.wide

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.high

    def across(self, x: float) -> float:
        """Return where a value of the horizontal axis lies."""
        return self.left + self.wide * self.x.share(x)

    def down(self, y: float) -> float:
        """Return where a value of the vertical axis lies."""
        return self.bottom - self.high * self.y.share(y)

    def frame(self, x_label: str, y_label: str, x_ticks: Sequence[tuple[float, str]] = ()) -> Iterator[str]:
        """Yield the grid, its figures and what the axes are; `x_ticks` in place of the axis's own."""
        for value, name in self.y.ticks():
            y = self.down(value)
            yield f'<path class="draw-line thin" d="M{self.left:.1f} {y:.1f}H{self.right:.1f}"/>'
            yield text(self.left - 8, y + 4.5, name, dim=True, anchor="end")
        for value, name in x_ticks or self.x.ticks():
            x = self.across(value)
            yield f'<path class="draw-line thin" d="M{x:.1f} {self.top:.1f}V{self.bottom + 5:.1f}"/>'
            if x_label:
                yield text(x, self.bottom + 20, name, dim=True, anchor="middle")
        for value in () if x_ticks else self.x.minor():
            yield f'<path class="draw-line thin" d="M{self.across(value):.1f} {self.bottom:.1f}v3"/>'
        yield f'<path class="draw-dim thin" d="M{self.left:.1f} {self.bottom:.1f}H{self.right:.1f}"/>'
        yield text((self.left + self.right) / 2, self.bottom + 42, x_label, anchor="middle")
        yield text(self.left, self.top - 10, y_label)

    def curve(self, points: Iterable[tuple[float, float]], style: str) -> str:
        """Return a line through points; what leaves the field is cut at its upper and lower edge."""
        placed = [(self.across(x), self.down(y)) for x, y in points]
        parts: list[str] = []
        for (x0, y0), (x1, y1) in pairwise(placed):
            cut = _within(x0, y0, x1, y1, self.top, self.bottom)
            if cut is not None:
                start, end = (f"{x:.1f} {y:.1f}" for x, y in cut)
                parts += [f"L{end}"] if parts and parts[-1][1:] == start else [f"M{start}", f"L{end}"]
        return f'<path class="{style}" d="{"".join(parts)}"/>'

    def dot(self, x: float, y: float, style: str, radius: float = 5) -> str:
        """Return a dot."""
        return f'<circle class="{style}" cx="{self.across(x):.1f}" cy="{self.down(y):.1f}" r="{radius:g}"/>'

    def mark(self, x: float, colour: str, words: str, *, ends: bool, dashed: bool) -> Iterator[str]:
        """Yield an upright line at a value, with words above it that begin or, with `ends`, end there."""
        place, style = self.across(x), f"draw-{colour} {'dashed' if dashed else 'thick'}"
        high = self.top - (36 if words else 0)
        yield f'<path class="{style}" d="M{place:.1f} {self.bottom:.1f}V{high:.1f}"/>'
        if words:
            room = 8.0 * len(words)
            ends = (ends and place - room > 0) or place + room > self.right
            yield (
                f'<text class="fill-{colour}" x="{place + (-6 if ends else 6):.1f}" y="{high + 10:.1f}" '
                f'text-anchor="{"end" if ends else "start"}" font-weight="600">{words}</text>'
            )

    def band(self, low: float, high: float, words: str) -> Iterator[str]:
        """Yield a ground that covers the frame in a part of the horizontal axis; its words end at the upper right."""
        left, right = self.across(low), self.across(high)
        yield (
            f'<rect class="fill-band" x="{left:.1f}" y="{self.top:.1f}" width="{right - left:.1f}" '
            f'height="{self.high - 1:.1f}"/>'
        )
        if words:
            yield text(right - 8, self.top + 20, words, dim=True, anchor="end")


def _within(
    x0: float, y0: float, x1: float, y1: float, top: float, bottom: float
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the part of a stretch that lies between two heights, or None."""
    if max(y0, y1) < top or min(y0, y1) > bottom:
        return None

    def at(x: float, y: float) -> tuple[float, float]:
        edge = min(max(y, top), bottom)
        return (x, y) if edge == y else (x0 + (x1 - x0) * (edge - y0) / (y1 - y0), edge)

    return at(x0, y0), at(x1, y1)
