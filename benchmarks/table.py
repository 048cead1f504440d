"""Write tables as markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.machine import checkout, describe
from benchmarks.session import Session

RESULTS = Path(__file__).parent / "results"
"""Where the tables are kept."""


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; floats get four decimals."""
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def listed(commands: Iterable[str]) -> str:
    """Return commands a line each, as a block."""
    return "\n".join(f"    {command}" for command in commands)


def write(name: str, title: str, session: Session, *parts: str) -> Path:
    """Write `results/<name>.md`: title, what the session's runs were made from, and the parts; return its path."""
    return _put(name, f"# {title}", describe(session.commits), *parts)


def keep(name: str, title: str, about: str, *parts: str) -> Path:
    """Write `results/<name>.md`: title, how it was measured, on what, and the parts; return its path."""
    return _put(name, f"# {title}", about, checkout(), *parts)


def _put(name: str, *parts: str) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _cell(value: object) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|")
