"""Examine a data set from end to end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from visionkit.data.records import Records
from visionkit.data.report import Report
from visionkit.engine.doctor import copies, labels, scanning
from visionkit.engine.doctor.codes import LEVELS, Finding, by_code, count
from visionkit.engine.doctor.looking import NOTES
from visionkit.engine.doctor.scanning import Scan


class Diagnosis(NamedTuple):
    """All that is known of a data set."""

    splits: Mapping[str, Records]
    scan: Scan
    findings: list[Finding]
    """The worst first."""
    counts: dict[str, dict[str, dict[str, int]]]
    """By split, kind of label and class."""
    root: Path | None
    seconds: dict[str, float]

    @property
    def wrong(self) -> bool:
        """Whether anything is an error."""
        return count(self.findings, "error") > 0

    def box_sizes(self) -> NDArray[np.float32]:
        """Return width and height of every box in pixels, (M, 2)."""
        found = [r.boxes[:, 2:] - r.boxes[:, :2] for r in self.splits.values() if r.boxes is not None]
        return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.float32)

    def leave_out(self) -> dict[str, str]:
        """Return the samples that a training is better off without, each with the reason."""
        reasons: dict[str, str] = {}
        for finding in self.findings:
            for name in finding.leave_out:
                reasons.setdefault(name, f"{finding.code}: {', '.join(finding.files)} {finding.text}")
        return dict(sorted(reasons.items()))

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        usable = self.scan.facts[self.scan.facts["height"] > 0]
        noted = {note: int((usable["notes"] >> bit & 1).sum()) for bit, note in enumerate(NOTES)}
        return {
            "images": {split: len(records) for split, records in self.splits.items()},
            "levels": {level: count(self.findings, level) for level in LEVELS},
            "codes": {code: len(found) for code, found in by_code(self.findings).items()},
            "findings": [finding.as_json() for finding in self.findings],
            "classes": self.counts,
            "pictures": {"usable": len(usable), **noted},
            "height": _spread(usable["height"]),
            "width": _spread(usable["width"]),
            "box_width": _spread(self.box_sizes()[:, 0]),
            "box_height": _spread(self.box_sizes()[:, 1]),
            "seconds": {what: round(value, 2) for what, value in self.seconds.items()},
        }


def examine(
    splits: Mapping[str, Records], report: Report, *, near: bool = True, processes: int | None = None
) -> Diagnosis:
    """Return all that is wrong with a data set whose reader has been read; `near` also looks for altered copies."""
    began = time.perf_counter()
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening pictures", total=sum(len(records) for records in splits.values()))

        def begin(what: str, total: int) -> None:
            bar.reset(task, total=total, description=what)

        def advance(steps: int) -> None:
            bar.advance(task, steps)

        scan = scanning.scan(splits, advance, processes)
        opened = time.perf_counter()
        findings, rows = copies.exact(splits, scan)
        if near:
            findings += copies.alike(splits, scan, rows, begin, advance, processes)
    own = [
        finding
        for split, records in splits.items()
        for finding in labels.boxes(records, split, scan.of(split)["height"], scan.of(split)["width"])
    ]
    findings += labels.told_once(labels.reported(report, splits), own)
    table = {split: labels.counts(records, scan.mask_images.get(split)) for split, records in splits.items()}
    findings += [*scan.findings, *labels.classes(table), *labels.unlabelled(splits)]
    root = labels.root_of(splits)
    ordered = [one for found in by_code(labels.relative(findings, root)).values() for one in found]
    seconds = {"pictures": opened - began, "all": time.perf_counter() - began}
    return Diagnosis(splits, scan, ordered, table, root, seconds)


def _spread(values: NDArray[Any]) -> dict[str, float] | None:
    """Return the least, the median and the largest value, or None without any."""
    if not len(values):
        return None
    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}
