"""Write tables as markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.session import Session

RESULTS = Path(__file__).parent / "results"
"""Where the tables are kept."""


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; floats get four decimals."""
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(name: str, title: str, session: Session, *parts: str) -> Path:
    """Write `results/<name>.md`: title, what it was made from, and the parts."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text("\n\n".join([f"# {title}", describe(session.commits), *parts]) + "\n", encoding="utf-8")
    return path


def _cell(value: object) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|")
