"""Train with several seeds: the default run of each task, and the experiments on data of a person's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from benchmarks.session import Run, Session
from benchmarks.table import listed, markdown, write

TASKS = ("classification", "segmentation", "detection")
OWN_DATA = ("clothing10", "bccd", "camvid")
SEEDS = (0, 1, 2)
DATA_VARIABLE = "VISIONKIT_TEST_DATA"
"""Names the folder that holds a folder for each of `OWN_DATA`."""


def default_run(session: Session, task: str, seed: int = 0) -> Run:
    """Train a task as a user does who chooses nothing else."""
    return session.train(f"{task}_seed{seed}", f"task={task}", f"seed={seed}")


def run(session: Session) -> list[str]:
    """Train the default runs, write `seeds.md` and return what is not as it should be."""
    runs = {task: [default_run(session, task, seed) for seed in SEEDS] for task in TASKS}
    return _tell("seeds", "The default runs with three seeds", session, runs)


def run_own_data(session: Session) -> list[str]:
    """Train the experiments on data of one's own, write `own_data.md` and return what is not as it should be."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        print(f"  left out: {DATA_VARIABLE} names no folder that holds {', '.join(OWN_DATA)}")
        return []
    runs = {
        name: [
            session.train(f"{name}_seed{seed}", f"experiment={name}", f"data.root={Path(folder, name)}", f"seed={seed}")
            for seed in SEEDS
        ]
        for name in OWN_DATA
    }
    session.commands = {command.replace(folder, "<folder>"): None for command in session.commands}
    return _tell("own_data", "Data of one's own, from random weights, with three seeds", session, runs)


def _tell(name: str, title: str, session: Session, runs: Mapping[str, Sequence[Run]]) -> list[str]:
    rows: list[list[object]] = []
    complaints = []
    for what, trained in runs.items():
        for split in ("val", "test"):
            figures = [one.figure(split) for one in trained]
            trivial = trained[0].trivial(split)
            monitor = trained[0].result["monitor"].removeprefix("val/")
            spread = [mean(figures), stdev(figures), max(figures) - min(figures)]
            epochs = f"{mean([one.result['epochs'] for one in trained]):.1f}"
            minutes = f"{mean([sum(one.result['seconds'].values()) for one in trained]) / 60:.1f}"
            rows.append([what, f"{split}/{monitor}", *figures, *spread, trivial, epochs, minutes])
            if min(figures) <= trivial:
                complaints.append(f"{what}: a seed scores {min(figures):.4f} on {split}, no more than a constant guess")
    seeds = [f"seed {seed}" for seed in SEEDS]
    columns = ["run", "metric", *seeds, "mean", "std", "range", "trivial", "epochs", "minutes"]
    path = write(name, title, session, markdown(columns, rows), "Commands:", listed(session.commands))
    print(f"written to {path}")
    return complaints
