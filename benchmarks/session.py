"""Train the runs of one verification by the train command itself, each in a process and a folder of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from visionkit.config.folders import PACKAGE

ROOT = PACKAGE.parent
"""The checkout: commands run in it, so that they find `benchmarks`."""


class TrainingError(Exception):
    """The train command failed; the message holds the command and the reason."""


class Run(NamedTuple):
    """A finished training: its folder and its `result.json`."""

    folder: Path
    result: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        """The best model."""
        return self.folder / str(self.result["checkpoint"])

    def figure(self, split: str) -> float:
        """Return the task's monitor on a split."""
        return float(self.result["metrics"][self._name(split)])

    def trivial(self, split: str) -> float:
        """Return what the best constant guess scores there."""
        return float(self.result["trivial"][self._name(split)])

    def _name(self, split: str) -> str:
        return f"{split}/{self.result['monitor'].removeprefix('val/')}"


class Session:
    """Trains below one folder; a run that is there already is not trained again, so a killed session goes on.

    `budget` is that of every training that names no other length; None leaves the command's own default.
    """

    def __init__(self, folder: Path, budget: str | None) -> None:
        self.folder = folder
        self.budget = budget
        self.commits: dict[str, None] = {}
        """The commits of the runs so far, in order."""
        self.commands: dict[str, None] = {}
        """What a person types to repeat the runs so far, in order."""

    def train(self, name: str, *overrides: str, epochs: int | None = None) -> Run:
        """Run the train command in the folder `name` and return what it came to.

        `epochs` is the length where no budget shortens the session. Raises TrainingError when the command fails or
        the folder holds a run of another command.
        """
        folder = ROOT / self.folder / name
        overrides = (*overrides, *self.length(epochs))
        command = shlex.join(["python", "-m", "visionkit.train", *overrides])
        if not (folder / "result.json").is_file():
            if (folder / "config.yaml").is_file():  # cut off before its end
                shutil.rmtree(folder)
            began = time.perf_counter()
            print(f"  {name} ...", end=" ", flush=True)
            arguments = [*overrides, f"run_dir={folder}"]
            done = subprocess.run(
                [sys.executable, "-m", "visionkit.train", *arguments],
                cwd=ROOT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            print(f"{time.perf_counter() - began:.0f} s", flush=True)
            if done.returncode:
                raise TrainingError(f"{command}: {_reason(done)}")
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        if not result["command"].startswith(f"{command} "):  # run_dir follows
            raise TrainingError(f"{folder} holds a run of {result['command']}, not of {command}; give another --folder")
        self.commits[str(result["commit"])] = None
        self.commands[command] = None
        return Run(folder, result)

    def length(self, epochs: int | None = None) -> tuple[str, ...]:
        """Return the override that says how long a training lasts."""
        if self.budget is not None:
            return (f"budget={self.budget}",)
        return () if epochs is None else (f"epochs={epochs}",)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first line of a message for the user, else the last of a traceback."""
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return next((line for line in lines if line.startswith("error:")), lines[-1])
