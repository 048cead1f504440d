"""Write pages that need neither network nor scripts, in light and in dark, and the drawings in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

LIGHT = {
    "ink": "#1c2430", "dim": "#5b6675", "line": "#d5dbe3", "back": "#ffffff", "band": "#f3f5f8",
    "a": "#2b6cb0", "b": "#b7791f", "c": "#2f855a",
}  # fmt: skip
DARK = {
    "ink": "#e6eaf0", "dim": "#9aa5b4", "line": "#3a4452", "back": "#14181f", "band": "#1d232c",
    "a": "#63b3ed", "b": "#ecc94b", "c": "#68d391",
}  # fmt: skip
"""The colours of pages and drawings, by what they are for; `a`, `b` and `c` tell things apart."""


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


_ROOT = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
"""
STYLE = (
    _ROOT
    + """
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif; color: var(--ink);
  background: var(--back); }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, figcaption { color: var(--dim); margin: .3rem 0; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; } dt { color: var(--dim); }
dd { margin: 0; font-size: 1.35rem; }
dd small { display: block; font-size: .8rem; color: var(--dim); }
figure { margin: 0; overflow-x: auto; } svg { max-width: 100%; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; } svg .dim { fill: var(--dim); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; } .name { text-align: left; font-family: ui-monospace, monospace; }
.kind { text-align: left; } tr.part td { text-align: left; font-weight: 600; background: var(--band); }
"""
)

_DIM = ' class="dim"'


def document(title: str, parts: Iterable[str], style: str = "") -> str:
    """Return a page of parts that are HTML already; `style` is what it needs beside `STYLE`."""
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}{style}</style></head><body>",
        *parts,
        "</body></html>",
    ]
    return "\n".join(lines)


def rect(left: float, top: float, wide: float, high: float, style: str) -> str:
    """Return a filled rectangle of a drawing, in pixels."""
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(wide, 0.5):.1f}" height="{high:.1f}" style="{style}"/>'


def text(left: float, base: float, words: str, *, dim: bool = False, anchor: str = "start") -> str:
    """Return a line of text of a drawing, its base line at `base`; `left` is where its `anchor` lies."""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{left:.1f}" y="{base:.1f}"{place}{_DIM if dim else ""}>{escape(words)}</text>'


def svg(wide: float, high: float, marks: Iterable[str], label: str) -> str:
    """Return a drawing; `label` says what it shows to those who cannot see it."""
    body = "\n".join(marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" '
        f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}">\n{body}\n</svg>'
    )
