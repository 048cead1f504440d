"""Examine what a config names, and write what was found: the work of the command."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig
from rich.console import Console

from visionkit.config.folders import make_run_dir, short
from visionkit.config.frozen import command_line, plain
from visionkit.engine import build
from visionkit.engine.doctor import preview
from visionkit.engine.doctor.codes import by_code, kind
from visionkit.engine.doctor.examining import Diagnosis, examine
from visionkit.engine.doctor.page import page
from visionkit.engine.pictures import write_image
from visionkit.engine.quiet import quieten

LEAVE_OUT = "leave_out.txt"

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def show(config: DictConfig, choices: Mapping[str, Any]) -> bool:
    """Write page, JSON and, when asked, the list of what to leave out; return whether anything is wrong."""
    quieten()
    logging.getLogger("visionkit").addHandler(logging.NullHandler())  # what the reader logs is among the findings
    settings = cast(dict[str, Any], plain(config))
    task = choices.get("task")
    chosen = None if task in (None, "null") else str(task)
    tasks = preview.tasks(settings, chosen, ())
    records = build.build_records(settings["data"], (), None)
    records.report.lenient = True
    splits = dict(records)
    diagnosis = examine(splits, records.report, near=config.near, processes=config.workers)
    previews = []
    if config.preview:
        kinds = next(iter(splits.values())).kinds
        previews = preview.draw(settings, tasks or preview.tasks(settings, None, kinds), config.preview)
    out = make_run_dir(config.out, "doctor")
    title = " ".join(
        ["doctor", f"data={choices['data']}", *([settings["data"]["root"]] if "root" in config.data else [])]
    )
    for name, image in previews:
        write_image(out / f"preview_{name}.png", image)
    (out / "doctor.html").write_text(page(diagnosis, title, previews) + "\n", encoding="utf-8")
    plainly = {"command": command_line(), **diagnosis.as_json()}
    (out / "doctor.json").write_text(json.dumps(plainly, indent=1) + "\n", encoding="utf-8")
    _tell(diagnosis, out, _leave_out(diagnosis, out) if config.fix else None)
    return diagnosis.wrong


def _leave_out(diagnosis: Diagnosis, out: Path) -> Path:
    """Write the list of samples to train without; return its path."""
    lines = ["# Samples to train without, for data.leave_out: a name a line, relative to data.root."]
    for name, reason in diagnosis.leave_out().items():
        lines += [f"# {' '.join(reason.split())}", name]
    (out / LEAVE_OUT).write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
    return out / LEAVE_OUT


def _tell(diagnosis: Diagnosis, out: Path, listed: Path | None) -> None:
    """Print a line for each kind of finding, and where the rest is."""
    console = Console(soft_wrap=True, highlight=False)
    counts = "  ".join(f"{split} {len(records):,}" for split, records in diagnosis.splits.items())
    console.print(f"images: {counts}   opened in {diagnosis.seconds['pictures']:.1f} s", markup=False)
    for code, found in by_code(diagnosis.findings).items():
        about, more = kind(code), f"; and {len(found) - 1:,} more" if len(found) > 1 else ""
        first = f"{' and '.join(found[0].files)} {found[0].text}"
        console.print(f"{about.level:8} {code:16}", style=_COLOURS[about.level], end="")
        console.print(f" {len(found):6,}  {about.title}: {first}{more}", markup=False)
    if not diagnosis.findings:
        console.print("nothing was found")
    for what, where in {"page": out / "doctor.html", "all of it": out / "doctor.json", "list": listed}.items():
        if where is not None:
            console.print(f"{what:9} {short(where)}", markup=False)
    if listed is not None:
        without = f"train with data.leave_out={short(listed)} to go on without these"
        nothing = "no sample has to be left out: the list is empty"
        console.print(without if diagnosis.leave_out() else nothing, markup=False)
