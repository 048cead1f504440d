"""Write a summary as a table that fits a screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from visionkit.engine.summary import figures
from visionkit.engine.summary.layers import Layer, Summary

WIDTH = 120
"""Columns that a table may take."""

COLUMNS = ("layer", "kind", "kernel", "stride", "output", "params", "mult-adds", "field", "centre", "jump", "memory")
_LEFT = 2  # columns whose text begins at the left
_SHORTEST = 16  # of a layer's name


def text(summary: Summary) -> str:
    """Return the table of layers, the levels and the totals."""
    height, width = summary.size
    groups = [(part, list(layers)) for part, layers in groupby(summary.layers, key=lambda layer: layer.part)]
    names = [_below(layers) for _, layers in groups]
    rows = [_row(layer, name) for (_, layers), (_, short) in zip(groups, names, strict=True) for layer, name in
            zip(layers, short, strict=True)]  # fmt: skip
    widths = [max(len(cell) for cell in column) for column in zip(COLUMNS, *rows, strict=True)]
    widths[0] = max(_SHORTEST, min(widths[0], WIDTH - sum(widths[1:]) - len(widths[1:])))
    lines = [f"{summary.title} at {height} x {width} pixels", "", _line(COLUMNS, widths), "-" * _total(widths)]
    at = 0
    for (part, layers), (prefix, _) in zip(groups, names, strict=True):
        lines.append(prefix or part)
        lines += [_line(row, widths) for row in rows[at : at + len(layers)]]
        at += len(layers)
    lines += ["", *_levels(summary), *_parts(summary), *_totals(summary), *_notes(rows)]
    return "\n".join(line.rstrip() for line in lines)


def _below(layers: Sequence[Layer]) -> tuple[str, list[str]]:
    """Return the module that all layers of a part lie in, and their names below it."""
    paths = [layer.module.split(".") for layer in layers]
    depth = 0
    while all(len(path) > depth for path in paths) and len({path[depth] for path in paths}) == 1:
        depth += 1
    return ".".join(paths[0][:depth]), [".".join(path[depth:]) for path in paths]


def _row(layer: Layer, name: str) -> tuple[str, ...]:
    kinds = [layer.kind.replace("depthwise", "dw"), *layer.then]
    return (
        f"  {name}",
        kinds[0] if len(kinds) == 1 else f"{kinds[0]}, {kinds[1]}{', ...' if len(kinds) > 2 else ''}",
        figures.kernel(layer),
        figures.one(layer.stride),
        figures.sides(layer.output),
        "shared" if layer.shared else figures.count(layer.parameters) if layer.parameters else "",
        figures.count(layer.multiply_adds) if layer.multiply_adds else "",
        figures.window(layer.view).replace(" image", ""),
        figures.centre(layer.view),
        figures.jump(layer.view),
        figures.size(layer.memory),
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name = row[0] if len(row[0]) <= widths[0] else f"  …{row[0][len(row[0]) - widths[0] + 3 :]}"
    cells = (name, *row[1:])
    return " ".join(
        cell.ljust(width) if index < _LEFT else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(widths) - 1


def _levels(summary: Summary) -> Iterator[str]:
    wide = max([11, *(len(level.part) for level in summary.levels)])
    if summary.levels:
        yield f"{'levels':{wide + 4}}channels  stride        cells        field       centre"
    for level in summary.levels:
        cells = figures.sides(level.output[1:])
        field, centre = figures.window(level.view), figures.centre(level.view)
        yield f"  {level.part:{wide}}  {level.channels:8}  {level.stride:6}  {cells:>11}  {field:>11}  {centre:>11}"
    yield ""


def _parts(summary: Summary) -> Iterator[str]:
    """Yield what each part costs, where several heads share some of them."""
    parts = summary.parts()
    if not any(layer.named for layer in summary.layers):
        return
    wide = max(len(part) for part in parts)
    yield f"{'parts':{wide + 4}}  params  mult-adds      memory"
    for part, (parameters, multiply_adds, memory) in parts.items():
        cells = (figures.count(parameters), figures.count(multiply_adds), figures.size(memory))
        yield f"  {part:{wide}}  {cells[0]:>8}  {cells[1]:>9}  {cells[2]:>10}"
    yield ""


def _totals(summary: Summary) -> Iterator[str]:
    yield f"parameters           {figures.count(summary.parameters)} ({summary.parameters:,})"
    if summary.trainable != summary.parameters:
        yield f"  trainable          {figures.count(summary.trainable)} ({summary.trainable:,})"
    for module, number in summary.idle.items():
        yield f"  of training only   {figures.count(number)} in {module}"
    yield f"multiply-adds        {figures.count(summary.multiply_adds)} ({summary.multiply_adds:,}) for one image"
    yield f"activation memory    {figures.size(summary.memory)} for one image, all layers together"


def _notes(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield "field, centre (of the first cell; the middle of the image's first pixel is 0.5) and jump are in pixels"
    for mark, meaning in figures.NOTES.items():
        if any(mark in row[7] for row in rows):
            yield f"{mark} {meaning}"
