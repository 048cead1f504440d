"""Draw what a page shows besides its table: where the costs go, and what each level sees of the image."""

from __future__ import annotations

from visionkit.engine.html import rect, svg, text
from visionkit.engine.summary import figures
from visionkit.engine.summary.layers import Map, Summary

_NAMES = 170  # pixels for the names of the stages, if they need no more
_LETTER = 7  # pixels for one of theirs
_BAR = 210  # for the longest bar
_VALUE = 90  # for the figure behind it
_LINE = 24

_PICTURE = 150  # for the longer side of what a level's picture shows
_GAP = 40


def costs(summary: Summary) -> str:
    """Return bars for the parameters, multiply-adds and memory of each stage, each with its figure."""
    stages = {name: own for name, own in summary.stages().items() if any(own)}
    columns = ("parameters", "multiply-adds", "activation memory")
    most = [max((own[index] for own in stages.values()), default=0) or 1 for index in range(3)]
    names = max([_NAMES, *(_LETTER * (len(name) + 1) for name in stages)])
    wide, high = names + 3 * (_BAR + _VALUE), _LINE * (len(stages) + 1) + 6
    marks = []
    for index, column in enumerate(columns):
        marks.append(text(names + index * (_BAR + _VALUE), 16, column, dim=True))
    for line, (name, own) in enumerate(stages.items(), start=1):
        top = line * _LINE
        marks.append(text(0, top + 16, name))
        for index, (value, colour) in enumerate(zip(own, "abc", strict=True)):
            left, length = names + index * (_BAR + _VALUE), _BAR * value / most[index]
            marks.append(rect(left, top + 4, length, _LINE - 8, f"fill:var(--{colour})"))
            short = figures.size(value) if index == 2 else figures.count(value)
            marks.append(text(left + length + 6, top + 16, short))
    return svg(wide, high, marks, "Parameters, multiply-adds and memory of each stage")


def fields(summary: Summary) -> str:
    """Return the image once a level, to scale, with the window of the cell nearest its middle."""
    marks = []
    for index, level in enumerate(summary.levels):
        marks += _level(level, summary.size, index * (_PICTURE + _GAP))
    wide = len(summary.levels) * (_PICTURE + _GAP)
    return svg(wide, _PICTURE + 70, marks, "Receptive fields of the levels against the image")


def _level(level: Map, size: tuple[int, int], left: float) -> list[str]:
    top = 4.0
    lines = [f"{level.part} /{level.stride}", f"{level.channels} channels, {figures.sides(level.output[1:])}"]
    lines.append(f"sees {figures.window(level.view)}")
    marks = [text(left, _PICTURE + 22 + 18 * line, words, dim=line > 0) for line, words in enumerate(lines)]
    if level.view is None:
        return marks
    windows = []
    for axis, view in enumerate(level.view):
        cell = level.output[1 + axis] // 2
        middle = view.centre + cell * view.jump
        windows.append((middle - view.size / 2, middle + view.size / 2))
    low = [min(0, window[0]) for window in windows]
    high = [max(side, window[1]) for side, window in zip(size, windows, strict=True)]
    scale = _PICTURE / max(end - start for start, end in zip(low, high, strict=True))

    def place(down: tuple[float, float], across: tuple[float, float], style: str) -> str:
        return rect(
            left + (across[0] - low[1]) * scale, top + (down[0] - low[0]) * scale,
            (across[1] - across[0]) * scale, (down[1] - down[0]) * scale, style,
        )  # fmt: skip

    image = place((0, size[0]), (0, size[1]), "fill:var(--line)")
    window = place(windows[0], windows[1], "fill:var(--a);fill-opacity:.25;stroke:var(--a);stroke-width:2")
    return [image, window, *marks]
