"""Train the smallest member of each family on each task, for the same number of steps, to see that none is broken."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks import step_losses
from benchmarks.session import ROOT, Session, TrainingError
from benchmarks.table import listed, markdown, write
from tests.models.backbone_checks import SMALLEST
from visionkit.config.folders import conf_dir

COMMON = (
    "data.size=32",
    "data.batch_size=8",
    "augment=none",
    "optimizer.lr=1e-3",  # networks of all depths, from random weights
    "+callbacks.losses._target_=benchmarks.step_losses.StepLosses",
)
SCENES = ("data.num_scenes=400", "data.digits_per_scene=[1,1]")
TASKS: dict[str, tuple[int, tuple[str, ...]]] = {
    "classification": (3, ("data=sklearn_digits",)),
    "segmentation": (2, SCENES),
    "detection": (2, SCENES),
}
"""Epochs, and what is trained on, single digits: about 300 steps, for the slow statistics of some networks, and 100."""

BACKBONES = [*SMALLEST, "vgg_tiny", "inception_tiny", "lenet"]
"""The smallest member of each family, and of the convnets one of each kind of block."""


def settings(task: str, backbone: str) -> list[str]:
    """Return the overrides of one training."""
    node = OmegaConf.load(conf_dir() / "backbone" / f"{backbone}.yaml")
    # 32 pixels are too few for some networks as they were published.
    padding = ["backbone.padding=same"] if "padding" in node else []
    return [f"task={task}", f"backbone={backbone}", *TASKS[task][1], *COMMON, *padding]


def run(session: Session) -> list[str]:
    """Train all, write `families.md` and return what is not as it should be."""
    rows: list[list[object]] = []
    complaints = []
    for backbone in BACKBONES:
        for task, (epochs, _) in TASKS.items():
            pair = f"{backbone}, {task}"
            try:
                done = session.train(f"{backbone}_{task}", *settings(task, backbone), epochs=epochs)
                counted = summary(done.checkpoint)
            except TrainingError as error:
                rows.append([backbone, task, "failed", *[""] * 8])
                complaints.append(f"{pair}: {error}")
                continue
            losses = step_losses.read(done.folder)
            first, last = ends(losses)
            metric, trivial = done.figure("val"), done.trivial("val")
            verdict = judge([*losses, metric], first, last)
            if verdict != "falls":
                complaints.append(f"{pair}: the loss: {verdict}")
            if metric <= trivial:
                complaints.append(f"{pair}: {metric:.4f}, no more than a constant guess")
            monitor = done.result["monitor"].removeprefix("val/")
            millions = f"{counted['multiply_adds'] / 1e6:.1f}"
            seconds = f"{done.result['seconds']['training']:.0f}"
            figures = [monitor, metric, trivial, first, last, verdict, len(losses), seconds]
            rows.append([backbone, task, *figures, millions, f"{counted['parameters'] / 1e6:.2f}"])
    columns = [
        "backbone", "task", "metric", "val", "trivial", "first loss", "last loss", "loss", "steps", "seconds",
        "multiply-adds, M", "parameters, M",
    ]  # fmt: skip
    note = (
        "The smallest member of each family under each task's own head, from random weights, one seed. First and last "
        "loss are means over the first and the last quarter of the steps. Enough to see that each pair learns, far too "
        "few steps to compare families; seconds are of training, multiply-adds of one image of 32 x 32 pixels."
    )
    path = write(
        "families", "Every family on every task", session, note, markdown(columns, rows), listed(session.commands)
    )
    print(f"written to {path}")
    return complaints


def summary(checkpoint: Path) -> dict[str, Any]:
    """Return the totals that the summary command gives for a checkpoint. Raises TrainingError when it fails."""
    arguments = [f"checkpoint={checkpoint}", "format=json"]
    done = subprocess.run(
        [sys.executable, "-m", "visionkit.summary", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TrainingError(f"python -m visionkit.summary: {done.stderr.strip()}")
    totals: dict[str, Any] = json.loads(done.stdout)["totals"]
    return totals


def ends(losses: list[float]) -> tuple[float, float]:
    """Return the mean loss of the first and of the last quarter of the steps, of one step at least."""
    quarter = max(len(losses) // 4, 1)
    return sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter


def judge(figures: list[float], first: float, last: float) -> str:
    """Return `falls`, or what is wrong."""
    if not all(math.isfinite(figure) for figure in figures):
        return "not finite"
    return "falls" if last < first else "does not fall"
