"""Train the default run of each task with several seeds: the figures, their mean and their spread."""

from __future__ import annotations

from statistics import mean, stdev

from benchmarks.session import Run, Session
from benchmarks.table import markdown, write

TASKS = ("classification", "segmentation", "detection")
SEEDS = (0, 1, 2)


def default_run(session: Session, task: str, seed: int = 0) -> Run:
    """Train a task as a user does who chooses nothing else."""
    return session.train(f"{task}_seed{seed}", f"task={task}", f"seed={seed}")


def run(session: Session) -> list[str]:
    """Train all, write `seeds.md` and return what is not as it should be."""
    rows: list[list[object]] = []
    complaints = []
    for task in TASKS:
        runs = [default_run(session, task, seed) for seed in SEEDS]
        for split in ("val", "test"):
            figures = [one.figure(split) for one in runs]
            trivial = runs[0].trivial(split)
            monitor = runs[0].result["monitor"].removeprefix("val/")
            spread = [mean(figures), stdev(figures), max(figures) - min(figures)]
            epochs = f"{mean([one.result['epochs'] for one in runs]):.1f}"
            rows.append([task, f"{split}/{monitor}", *figures, *spread, trivial, epochs])
            if min(figures) <= trivial:
                complaints.append(f"{task}: a seed scores {min(figures):.4f} on {split}, no more than a constant guess")
    columns = ["task", "metric", *(f"seed {seed}" for seed in SEEDS), "mean", "std", "range", "trivial", "epochs"]
    commands = "\n".join(f"    {command}" for command in session.commands)
    parts = (markdown(columns, rows), "Commands:", commands)
    path = write("seeds", "The default runs with three seeds", session, *parts)
    print(f"written to {path}")
    return complaints
