"""Draw what tuning saw: the loss over the rates, and speed and memory over the batch sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from visionkit.engine.html import text
from visionkit.engine.tuning.axes import Axis, Panel, picture
from visionkit.engine.tuning.rule import Curve, Suggestion, rates
from visionkit.engine.tuning.sizes import ENOUGH, Row

_WIDE = 880
_LEFT, _RIGHT = 74, 30
_FIELD = _WIDE - _LEFT - _RIGHT


def range_test(curve: Curve, found: Suggestion, rate: float | None, configured: float, title: str) -> str:
    """Return the loss over the rates, each batch's and smoothed, with the suggested and the configured rate.

    `title` says what was trained. The field ends somewhat above where the loss began: what a loss that diverges
    climbs to would flatten all that matters.
    """
    panel = Panel(_LEFT, 142, _FIELD, 300, _over(configured), _height(curve, found))
    raw = zip(curve.rates, curve.losses, strict=True)
    smoothed = list(zip(curve.rates, found.smoothed, strict=True))
    x, y = smoothed[found.lowest]
    marks = [
        f'<text class="title" x="{_LEFT}" y="34">Learning-rate range test</text>',
        text(_LEFT, 56, title, dim=True),
        *_legend(_WIDE - _RIGHT, 34, (("draw-a thin faint", "each step"), ("draw-a thick", "smoothed"))),
        *panel.frame("learning rate", "loss after the step"),
        *(panel.band(curve.diverged, panel.x.high, "diverged") if curve.diverged else ()),
        panel.curve(raw, "draw-a thin faint"),
        panel.curve(smoothed, "draw-a thick"),
        *_choices(panel, rate, configured),
    ]
    if rate is None:
        marks.append(
            text(_LEFT, 76, "No suggestion: the loss fell by no more than it differs from batch to batch.", dim=True)
        )
    else:
        marks += [*_third(panel, rate, x, y), panel.dot(x, y, "fill-a draw-back")]
    seen = f"suggested {rate:g}" if rate is not None else "no suggestion"
    return picture(_WIDE, 510, marks, f"Loss over the learning rate of {title}: {seen}, configured {configured:g}")


def batch_sizes(rows: Sequence[Row], found: int, configured: int, limit: int, failed: int | None, title: str) -> str:
    """Return the images a second and the peak memory over the batch sizes, with the suggested and the configured one.

    `limit` is the memory that there is, bytes, drawn where the field reaches it. `failed` is the smallest size that
    did not fit.
    """
    tried = [row.batch_size for row in rows]
    ends = [*tried, configured, *([failed] if failed else [])]
    over = Axis(min(ends) / 1.15, max([*(1.15 * end for end in ends), 2.4 * (failed or 0)]), log=True)
    speeds = [row.images_per_second for row in rows]
    used = [row.peak_memory / 2**30 for row in rows]
    speed = Panel(_LEFT, 138, _FIELD, 190, over, Axis(0, max(speeds) * 1.15))
    memory = Panel(_LEFT, 376, _FIELD, 130, over, Axis(0, max(used) * 1.2))
    ticks = [(size, str(size)) for size in _apart(tried)]
    marks = [
        f'<text class="title" x="{_LEFT}" y="34">Batch size</text>',
        text(_LEFT, 56, title, dim=True),
        *_ground(speed, max(speeds), ENOUGH),
    ]
    for panel, values, x_label, y_label in (
        (speed, speeds, "", "images a second"),
        (memory, used, "images a batch", "peak memory, GiB"),
    ):
        marks += panel.frame(x_label, y_label, ticks)
        if failed:
            marks += panel.band(failed, over.high, "does not fit" if panel is speed else "")
        if panel is memory and limit / 2**30 < memory.y.high:
            y = panel.down(limit / 2**30)
            marks.append(f'<path class="draw-dim dashed" d="M{panel.left} {y:.1f}H{panel.right}"/>')
            marks.append(text(panel.left + 8, y - 6, "limit", dim=True))
        marks += _choices(panel, found, configured, words=panel is speed)
        points = list(zip(tried, values, strict=True))
        marks.append(panel.curve(points, "draw-a thick"))
        marks += [panel.dot(x, y, "fill-a draw-back", 4.5) for x, y in points]
    seen = f"Speed and memory over the batch size of {title}: suggested {found}, configured {configured}"
    return picture(_WIDE, 574, marks, seen)


def _apart(tried: Sequence[int]) -> list[int]:
    """Return the sizes whose names have room beside each other: those of a bisection lie close."""
    shown: list[int] = []
    for size in tried:
        if not shown or size >= 1.4 * shown[-1]:
            shown.append(size)
    return shown


def _ground(panel: Panel, best: float, share: float) -> Iterator[str]:
    """Yield the strip of speeds that count as the best."""
    top, bottom = panel.down(best), panel.down(best * share)
    yield (
        f'<rect class="fill-c" opacity=".13" x="{panel.left}" y="{top:.1f}" width="{panel.wide}" '
        f'height="{bottom - top:.1f}"/>'
    )
    yield text(panel.left + 8, top - 5, f"within {1 - share:.0%} of the best", dim=True)


def _choices(panel: Panel, found: float | None, configured: float, *, words: bool = True) -> Iterator[str]:
    """Yield the lines of what is suggested and what is configured, their names on the sides that lie apart."""
    lines = [(configured, "configured", "b")] + ([] if found is None else [(found, "suggested", "c")])
    lines.sort(key=lambda line: line[:2])
    for place, (value, what, colour) in enumerate(lines):
        name = f"{what} {value:g}" if words else ""
        yield from panel.mark(value, colour, name, ends=len(lines) > 1 and place == 0, dashed=what == "configured")


def _over(configured: float) -> Axis:
    """Return an axis for all rates that may be tried: how early a test was ended can be seen."""
    tried = rates()
    return Axis(min(tried[0], configured), max(tried[-1] * 1.3, configured * 1.1), log=True)


def _height(curve: Curve, found: Suggestion) -> Axis:
    shown = [curve.start, *curve.losses[: found.lowest + 1]]
    low, high = min(*shown, *curve.losses), max(shown)
    room = (high - low) or abs(high) or 1.0
    return Axis(low - 0.14 * room, high + 0.2 * room)


def _third(panel: Panel, rate: float, lowest: float, loss: float) -> Iterator[str]:
    """Yield the way from the lowest point down to the suggestion."""
    start, end, y = panel.across(lowest) - 8, panel.across(rate) + 3, panel.down(loss)
    yield f'<path class="draw-c" d="M{start:.1f} {y:.1f}H{end:.1f}m6 -4l-6 4l6 4"/>'
    yield text((start + end) / 2, y + 18, "a third", anchor="middle")


def _legend(right: float, base: float, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    for style, words in reversed(entries):
        right -= 7 * len(words)
        yield text(right, base, words, dim=True)
        yield f'<path class="{style}" d="M{right - 34:.1f} {base - 4.5:.1f}h26"/>'
        right -= 54
