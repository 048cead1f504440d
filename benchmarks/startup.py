"""Measure how soon commands answer and trainings begin: python -m benchmarks.startup [--runs 5]."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import lightning as L

from benchmarks.session import ROOT
from benchmarks.table import keep, markdown

ANSWERS = {
    "`--help`": ["-m", "visionkit.train", "--help"],
    "mistyped key": ["-m", "visionkit.train", "epoch=3"],
    "`--cfg job`": ["-m", "visionkit.train", "--cfg", "job"],
    "completion": ["-m", "visionkit", "-sc", "query=bash"],
}
GOAL_ANSWER = 1.0
"""Seconds from the start of the process to its end."""
GOAL_STEP = 1.5
"""Seconds to the first step of the optimizer beyond those that importing takes."""

_MODULES = "VISIONKIT_STARTUP_MODULES"
# Without looking for garbage, as the command itself imports: else the difference would hide that gain.
_IMPORTS = """
import gc, importlib, json, sys
gc.disable()
for name in json.load(open(sys.argv[1])):
    importlib.import_module(name)
"""


class FirstStep(L.Callback):
    """Ends the process after the first step of the optimizer, and writes down what was imported until then."""

    def on_train_batch_end(self, *_: object) -> None:
        """Write the modules and leave."""
        Path(os.environ[_MODULES]).write_text(json.dumps(list(sys.modules)), encoding="utf-8")
        sys.stdout.flush()
        os._exit(0)


def main() -> None:
    """Measure, print and write `results/startup.md`; end with 1 when a goal is missed."""
    runs = parser().parse_args().runs
    rows: list[list[object]] = []
    missed = []
    for name, arguments in ANSWERS.items():
        seconds = [timed(arguments) for _ in range(runs)]
        rows.append([name, f"{median(seconds):.2f}", f"{min(seconds):.2f} to {max(seconds):.2f}", f"{GOAL_ANSWER}"])
        missed += [name] if median(seconds) > GOAL_ANSWER else []
    for task in ("classification", "segmentation", "detection"):
        pairs = [first_step(task) for _ in range(runs)]  # interleaved, as the machine's mood changes
        beyond = [step - imports for step, imports in pairs]
        for what, seconds in (("first step", [p[0] for p in pairs]), ("imports", [p[1] for p in pairs])):
            rows.append([f"{task}: {what}", f"{median(seconds):.2f}", f"{min(seconds):.2f} to {max(seconds):.2f}", ""])
        spread = f"{min(beyond):.2f} to {max(beyond):.2f}"
        rows.append([f"{task}: beyond imports", f"{median(beyond):.2f}", spread, f"{GOAL_STEP}"])
        missed += [task] if median(beyond) > GOAL_STEP else []
    table = markdown(["what", "seconds, median", "spread", "at most"], rows)
    print(table)
    about = f"Medians of {runs} processes each, made by `python -m benchmarks.startup --runs {runs}`."
    keep("startup", "Start-up", about, table)
    if missed:
        sys.exit(f"NOT AS IT SHOULD BE: {', '.join(missed)}")


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    made.add_argument("--runs", type=int, default=5, help="repetitions; the median counts")
    return made


def timed(arguments: Sequence[str]) -> float:
    """Return the seconds of a process from start to end."""
    environment = {**os.environ, "COMP_LINE": "visionkit train backbone="}
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, check=False)
    return time.perf_counter() - began


def first_step(task: str) -> tuple[float, float]:
    """Return the seconds to the first optimizer step of a default run, and of importing what it had imported."""
    with tempfile.TemporaryDirectory() as folder:
        modules = Path(folder, "modules.json")
        os.environ[_MODULES] = str(modules)
        train = ["-m", "visionkit.train", f"task={task}", f"run_dir={folder}/run"]
        step = timed([*train, "+callbacks.first._target_=benchmarks.startup.FirstStep"])
        names = [name for name in json.loads(modules.read_text(encoding="utf-8")) if _importable(name)]
        modules.write_text(json.dumps(names), encoding="utf-8")
        return step, timed(["-c", _IMPORTS, str(modules)])


def _importable(name: str) -> bool:
    """Return whether a module can be imported by its name: some libraries make modules up as they run."""
    return not name.startswith(("__", "benchmarks", "torch.ops", "torch.classes", "six.moves", "visionkit.train"))


if __name__ == "__main__":
    main()
