"""Write a summary as one page that needs neither network nor scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from visionkit.engine import html
from visionkit.engine.summary import figures
from visionkit.engine.summary.drawing import costs, fields
from visionkit.engine.summary.layers import Layer, Summary

HEADINGS = (
    "layer", "kind", "kernel", "stride", "output", "parameters", "multiply-adds", "field", "centre", "jump", "memory",
)  # fmt: skip


def page(summary: Summary) -> str:
    """Return the page: totals, where they go, the levels against the image, and the table of layers."""
    height, width = summary.size
    title = f"{summary.title} at {height} x {width} pixels"
    settings = ", ".join(f"{key} {value}" for key, value in summary.settings.items())
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(settings)}</p>",
        f"<dl>{''.join(_totals(summary))}</dl>",
        "<h2>Where they go</h2>",
        f"<figure>{costs(summary)}<figcaption>Shares of each stage: a part of the network and the distance of its "
        "cells in pixels.</figcaption></figure>",
        *_parts(summary),
        "<h2>What a cell of each level sees</h2>",
        f"<figure>{fields(summary)}<figcaption>The window of the cell nearest the middle, against the image (the "
        "filled rectangle). Windows reach over the border where layers pad.</figcaption></figure>",
        f"<h2>Layers</h2>{_notes()}",
        '<div class="scroll"><table><thead><tr>',
        *(f"<th{_class(index)}>{heading}</th>" for index, heading in enumerate(HEADINGS)),
        "</tr></thead><tbody>",
        *_rows(summary.layers),
        "</tbody></table></div>",
    ]
    return html.document(title, parts)


def _totals(summary: Summary) -> Iterator[str]:
    idle = sum(summary.idle.values())
    trainable = f", {summary.trainable:,} trainable" if summary.trainable != summary.parameters else ""
    training = f", {idle:,} in training only" if idle else ""
    yield _total("Parameters", figures.count(summary.parameters), f"{summary.parameters:,}{trainable}{training}")
    yield _total("Multiply-adds", figures.count(summary.multiply_adds), f"{summary.multiply_adds:,} for one image")
    yield _total("Activation memory", figures.size(summary.memory), f"{summary.memory:,} bytes for one image")


def _parts(summary: Summary) -> Iterator[str]:
    """Yield a table of what each part costs, where several heads share some of them."""
    if not any(layer.named for layer in summary.layers):
        return
    yield '<div class="scroll"><table><thead><tr><th class="name">part</th><th>parameters</th>'
    yield "<th>multiply-adds</th><th>memory</th></tr></thead><tbody>"
    for part, (parameters, multiply_adds, memory) in summary.parts().items():
        cells = (f"{parameters:,}", figures.count(multiply_adds), figures.size(memory))
        yield f'<tr><td class="name">{escape(part)}</td>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    yield "</tbody></table></div>"


def _total(name: str, short: str, exact: str) -> str:
    return f"<div><dt>{name}</dt><dd>{short}<small>{exact}</small></dd></div>"


def _notes() -> str:
    marks = "; ".join(f"{mark}: {meaning}" for mark, meaning in figures.NOTES.items())
    return (
        "<p>Field, centre of the first cell's field and jump from cell to cell are in pixels; the middle of the "
        f"image's first pixel is 0.5. {escape(marks)}.</p>"
    )


def _rows(layers: Sequence[Layer]) -> Iterator[str]:
    for part, group in groupby(layers, key=lambda layer: layer.part):
        yield f'<tr class="part"><td colspan="{len(HEADINGS)}">{escape(part)}</td></tr>'
        for layer in group:
            cells = _cells(layer)
            yield f"<tr>{''.join(f'<td{_class(i)}>{escape(cell)}</td>' for i, cell in enumerate(cells))}</tr>"


def _cells(layer: Layer) -> tuple[str, ...]:
    return (
        layer.module,
        ", ".join([layer.kind, *layer.then]),
        figures.kernel(layer),
        figures.one(layer.stride),
        figures.sides(layer.output),
        "shared" if layer.shared else f"{layer.parameters:,}" if layer.parameters else "",
        figures.count(layer.multiply_adds) if layer.multiply_adds else "",
        figures.window(layer.view),
        figures.centre(layer.view),
        figures.jump(layer.view),
        figures.size(layer.memory),
    )


def _class(index: int) -> str:
    return {0: ' class="name"', 1: ' class="kind"'}.get(index, "")
