"""Collect what is wrong with a data set, or stop at the first thing that cannot be used."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from typing import Literal, NamedTuple

from visionkit.errors import DataError

log = logging.getLogger(__name__)

NAMED = 5
"""Files of a kind that a line of the log names."""


class Finding(NamedTuple):
    """One thing that is wrong."""

    code: str
    """The kind of finding, such as `box_empty`: the same for all of that kind, in every format."""
    level: Literal["error", "warning"]
    """An error cannot be used as it is; a warning was got round, in a way that the text says."""
    path: str
    """The file, with a line, a number or an id behind it where there is one: `labels.csv, line 3`."""
    text: str
    """What is wrong and what to do."""


class Report:
    """What a reader found. It raises DataError at the first error unless it is `lenient`: then it goes on without.

    The same thing found twice, as when two splits share a file of annotations, is kept once.
    """

    def __init__(self, lenient: bool = False) -> None:
        self.lenient = lenient
        self._findings: dict[Finding, None] = {}
        self._told = 0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order in which they came."""
        return tuple(self._findings)

    def error(self, code: str, path: str | Path, text: str) -> None:
        """Note something that cannot be used; whoever calls leaves it out. Raises DataError unless lenient."""
        if not self.lenient:
            raise DataError(f"{path}: {text}")
        self._findings.setdefault(Finding(code, "error", str(path), text))

    def warning(self, code: str, path: str | Path, text: str) -> None:
        """Note something that was got round."""
        self._findings.setdefault(Finding(code, "warning", str(path), text))

    def tell(self) -> None:
        """Log what is new since the last time, one line for each kind of finding."""
        kinds: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for finding in self.findings[self._told :]:
            kinds[finding.code, finding.level].append(finding)
        self._told = len(self._findings)
        for found in kinds.values():
            paths = list(dict.fromkeys(finding.path for finding in found))
            more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
            log.warning("%d x %s: %s%s", len(found), found[0].text, ", ".join(paths[:NAMED]), more)
