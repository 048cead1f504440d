"""Run the trials of a sweep one after the other, each from its own frozen file, and compare them in a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from visionkit.config.command import FAILURE, SIGNALLED, Trial
from visionkit.config.folders import make_run_dir
from visionkit.config.frozen import command_line, freeze, plain
from visionkit.config.values import AUTO
from visionkit.engine.launch import run_worker, start_elsewhere
from visionkit.engine.preflight import check
from visionkit.engine.processes.placement import asked
from visionkit.errors import ConfigError

WIDTH = 200
"""Of the closing table at most, columns: a terminal that is narrower wraps it, which is better than cut figures."""


class Outcome(NamedTuple):
    """What became of a trial."""

    number: int
    settings: dict[str, str]
    """What differs between the trials, by key."""
    folder: Path
    state: str
    """`done`, `interrupted` or `failed`."""
    result: dict[str, Any]
    """Its `result.json`, empty when there is none."""


def sweep(trials: Sequence[Trial]) -> None:
    """Check every trial, then train them in turn; a trial that fails does not keep the others from running.

    Leaves `trials.csv` beside the numbered folders; what a cluster trains is handed to it, and not waited for. Raises
    ConfigError when a trial's config is wrong, before any begins, and SystemExit when one failed or a signal ended the
    sweep.
    """
    _check(trials)
    folder = Path(trials[0].config.run_dir).absolute().parent
    varied = _varied(trials)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{len(trials)} trainings in {folder}", markup=False)
    outcomes: list[Outcome] = []
    for number, trial in enumerate(trials):
        settings = {key: values[number] for key, values in varied.items()}
        told = "  ".join(f"{key}={value}" for key, value in settings.items())
        console.print(f"\ntrial {number + 1} of {len(trials)}: {told}", style="bold", markup=False)
        run_dir = make_run_dir(trial.config.run_dir, trial.config.name)
        if trial.config.cluster:  # what a cluster stops and starts again goes on in its folder
            trial.config.resume = AUTO
        freeze(trial.config, run_dir, command_line(trial.overrides))
        size = asked(plain(trial.config.trainer))
        if said := start_elsewhere(trial.config, run_dir, size):
            console.print(said, markup=False)
            continue
        code = run_worker(run_dir, size.each)
        state = "done" if code == 0 else "interrupted" if code > SIGNALLED else "failed"
        outcomes.append(Outcome(number, settings, run_dir, state, _result(run_dir)))
        _write(outcomes, folder / "trials.csv")
        if state == "interrupted":
            break
    if not outcomes:  # all are trained elsewhere, and none is done yet
        return
    console.print()
    Console(highlight=False, width=WIDTH).print(_table(outcomes))
    console.print(f"\nsweep     {folder}\ntable     {folder / 'trials.csv'}", markup=False)
    if best := _best(outcomes):
        console.print(f"best      {best}", markup=False)
    left = len(trials) - len(outcomes)
    if left or any(outcome.state == "interrupted" for outcome in outcomes):
        console.print(f"interrupted; {left} trainings were not begun")
        raise SystemExit(code)
    if failed := [outcome for outcome in outcomes if outcome.state == "failed"]:
        console.print(f"{len(failed)} of {len(trials)} failed; what happened is in their train.log")
        raise SystemExit(FAILURE)


def _check(trials: Sequence[Trial]) -> None:
    found: dict[str, list[int]] = {}
    for number, trial in enumerate(trials):
        trial.config.name = trial.choices["task"]
        if trial.config.tune is not None:
            found.setdefault(
                f"-m compares trainings, and tune={trial.config.tune} begins none; tune without -m", []
            ).append(number)
        try:
            check(trial.config)
        except ConfigError as error:
            for line in str(error).splitlines():
                found.setdefault(line, []).append(number)
    if found:
        lines = []
        for line, numbers in found.items():
            of = "" if len(numbers) == len(trials) else f"trial {', '.join(str(n) for n in numbers)}: "
            lines.append(f"{of}{line}")
        raise ConfigError("\n".join(lines))


def _varied(trials: Sequence[Trial]) -> dict[str, list[str]]:
    """Return the values, a trial each, of the settings that are not the same in all trials."""
    given = [dict(override.split("=", 1) for override in trial.overrides if "=" in override) for trial in trials]
    keys = list(dict.fromkeys(key for settings in given for key in settings))
    values = {key: [settings.get(key, "") for settings in given] for key in keys}
    return {key: column for key, column in values.items() if len(set(column)) > 1}


def _best(outcomes: Sequence[Outcome]) -> Path | None:
    """Return the checkpoint of the trial with the highest monitor."""
    number = int(_rows(outcomes)[0]["trial"])
    outcome = next(outcome for outcome in outcomes if outcome.number == number)
    return outcome.folder / outcome.result["checkpoint"] if outcome.result else None


def _result(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "result.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _rows(outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
    """Return a row a trial, the best monitor first; trials without a result come last."""
    rows = []
    for outcome in outcomes:
        monitor = outcome.result.get("monitor", "")
        metrics = outcome.result.get("metrics", {})
        test = monitor.replace("val/", "test/", 1)
        seconds = outcome.result.get("seconds", {}).get("training")
        rows.append(
            {
                "trial": str(outcome.number),
                **outcome.settings,
                **({monitor: f"{metrics[monitor]:.4f}"} if monitor in metrics else {}),
                **({test: f"{metrics[test]:.4f}"} if test in metrics else {}),
                "epochs": str(outcome.result.get("epochs", "")),
                "seconds": "" if seconds is None else f"{seconds:.0f}",
                "state": outcome.state,
            }
        )
    return sorted(rows, key=lambda row: float(next((v for k, v in row.items() if k.startswith("val/")), "-inf")))[::-1]


def _columns(rows: Sequence[dict[str, str]]) -> list[str]:
    last = ["epochs", "seconds", "state"]
    return [key for key in dict.fromkeys(k for row in rows for k in row) if key not in last] + last


def _table(outcomes: Sequence[Outcome]) -> Table:
    rows = _rows(outcomes)
    table = Table(box=None, pad_edge=False)
    for column in _columns(rows):
        table.add_column(column, justify="right" if column not in {"state", *outcomes[0].settings} else "left")
    for place, row in enumerate(rows):
        table.add_row(*(row.get(c, "") for c in _columns(rows)), style="bold" if place == 0 and len(rows) > 1 else None)
    return table


def _write(outcomes: Sequence[Outcome], path: Path) -> None:
    rows = _rows(outcomes)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows), restval="")
        writer.writeheader()
        writer.writerows(rows)
