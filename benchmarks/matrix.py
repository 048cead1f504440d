"""Train every backbone under every head for a few steps, to see that each pair fits together and learns."""

from __future__ import annotations

import math
from pathlib import Path

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from benchmarks import step_losses
from benchmarks.session import Session, TrainingError
from benchmarks.table import markdown, write
from visionkit.config.folders import conf_dir
from visionkit.models.contracts import Head
from visionkit.tasks.base import Task

EPOCHS = 2
SETTINGS = (
    "data.num_scenes=128",  # 8 steps an epoch
    "data.batch_size=16",
    "augment=none",
    "optimizer.lr=5e-4",  # networks of all depths, from random weights
    "+callbacks.losses._target_=benchmarks.step_losses.StepLosses",
)


def backbones() -> list[str]:
    """Return every option of the backbone group."""
    return sorted(path.stem for path in (conf_dir() / "backbone").glob("*.yaml"))


def heads() -> dict[str, str]:
    """Return every head that is not an alias, with the task that its labels belong to."""
    task_of = {kind: name for name, kind in _kinds("task").items()}
    return {name: task_of[kind] for name, kind in _kinds("head").items()}


def run(session: Session) -> list[str]:
    """Train all, write `matrix.md` and return what is not as it should be."""
    rows: list[list[object]] = []
    complaints = []
    for backbone in backbones():
        for head, task in heads().items():
            pair = f"{backbone} under {head}"
            try:
                done = session.train(
                    f"{backbone}_{head}", f"task={task}", f"backbone={backbone}", f"head={head}", *SETTINGS,
                    epochs=EPOCHS,
                )  # fmt: skip
            except TrainingError as error:
                rows.append([backbone, head, "", "", "failed", "", "", "", "", ""])
                complaints.append(f"{pair}: {error}")
                continue
            losses = step_losses.read(done.folder)
            first, last = ends(losses)
            metric = done.figure("val")
            verdict = judge([*losses, metric], first, last)
            if verdict != "falls":
                complaints.append(f"{pair}: {verdict}")
            result = done.result
            monitor = result["monitor"].removeprefix("val/")
            figures = [first, last, verdict, monitor, metric, len(losses), f"{result['seconds']['training']:.1f}"]
            rows.append([backbone, head, *figures, result["parameters"]])
    columns = ["backbone", "head", "first loss", "last loss", "loss", "metric", "val", "steps", "seconds", "parameters"]
    command = " ".join(["python -m visionkit.train task=... backbone=... head=...", *SETTINGS, *session.length(EPOCHS)])
    note = (
        f"Each pair by `{command}`, from random weights. First and last loss are means over the first and the last "
        "quarter of the steps: enough to see that a pair learns, far too few for the metric to mean anything."
    )
    path = write("matrix", "Every backbone under every head", session, note, markdown(columns, rows))
    print(f"written to {path}")
    return complaints


def ends(losses: list[float]) -> tuple[float, float]:
    """Return the mean loss of the first and of the last quarter of the steps, of one step at least."""
    quarter = max(len(losses) // 4, 1)
    return sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter


def judge(figures: list[float], first: float, last: float) -> str:
    """Return `falls`, or what is wrong."""
    if not all(math.isfinite(figure) for figure in figures):
        return "not finite"
    return "falls" if last < first else "does not fall"


def _kinds(group: str) -> dict[str, str]:
    """Return the label kind of each option of a config group that has a target of its own."""
    found = {}
    for path in sorted(Path(conf_dir() / group).glob("*.yaml")):
        node = OmegaConf.load(path)
        if isinstance(node, DictConfig) and "_target_" in node:
            target: type[Head] | type[Task] = get_class(node["_target_"])
            found[path.stem] = target.kind
    return found
