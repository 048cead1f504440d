"""Find the commands that the documentation shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from visionkit.__main__ import COMMANDS
from visionkit.config import help_page

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob(".github/**/*.md"))]
CONFIGS = sorted((ROOT / "conf").rglob("*.yaml"))

_PROGRAMS = r"(?:\.venv/bin/)?(?:python3?|visionkit|make|pip|pytest|git|eval)\b"


def walks(page: Path) -> list[list[str]]:
    """Return the commands of each fenced shell block: they follow on one another."""
    found = re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in found]


def blocks(page: Path) -> list[list[str]]:
    """Return the lines of each code block of a page that is indented, and the walks."""
    text = page.read_text(encoding="utf-8")
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^ {4}\S.*\n?)+", rest, flags=re.MULTILINE)
    return [[line.strip() for line in block.splitlines() if line.strip()] for block in indented] + walks(page)


def commands() -> list[str]:
    """Return every command that pages, help and configs show, without comments, each once."""
    found = [command for page in PAGES for command in _of_page(page)]
    found += [example for name in COMMANDS for example in help_page.examples(name)]
    found += [
        command
        for path in CONFIGS
        for command in re.findall(r"#.*?(python -m visionkit\.\w+ [^#\n]*)", path.read_text(encoding="utf-8"))
    ]
    return list(dict.fromkeys(re.sub(r"\s{2,}.*", "", command).strip() for command in found))


def _of_page(page: Path) -> Iterator[str]:
    for block in blocks(page):
        yield from (re.split(r"\s+# ", line)[0] for line in block if re.match(_PROGRAMS, line))
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`\n]+)`", text):
        if re.match(_PROGRAMS, span) and len(shlex.split(span, posix=False)) > 1:
            yield span
