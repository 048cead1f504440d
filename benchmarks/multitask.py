"""Train three heads over one backbone, and each by itself for as many steps: python -m benchmarks.multitask.

With `--only third` three heads are trained on images of which each has the labels of one head only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, stdev

from benchmarks.session import Run, Session
from benchmarks.table import listed, markdown, write

HEADS = ("classification", "segmentation", "detection")
SPLIT = "test"
PARTS = ("together", "third")
THIRD = "+data.reader.labels=one"
"""Lets a training scene carry one kind of labels only, the three kinds in turn."""

GOAL_POINTS = -0.02
"""How far the mean over the seeds of a head's monitor may lie from that of its single runs."""
GOAL_SECONDS = 0.6
"""What training together may take of the sum of the three."""
GOAL_ABOVE = 0.1
"""How far above a constant guess each head has to be that has a third of the labels."""

Runs = dict[str, list[Run]]
"""By what was trained, one a seed."""


def main() -> None:
    """Train what is asked for, write and print its tables; end with 1 when a goal is missed."""
    given = parser().parse_args()
    folder = given.folder or Path("runs", "benchmarks", time.strftime("%Y-%m-%d_%H-%M-%S"))
    print(f"runs are kept in {folder}; to go on after a stop, give --folder {folder} and the same arguments")
    complaints: list[str] = []
    for part in given.only:
        session = Session(folder, None)
        if part == "together":
            overrides = {"multitask": ["task=multitask"], **{head: [f"task={head}"] for head in HEADS}}
            runs = train(session, overrides, given)
            complaints += judge(runs)
            path = tell(session, runs, given)
        else:
            third = train(session, {"third": ["task=multitask", THIRD]}, given)["third"]
            complaints += judge_third(third)
            path = tell_third(session, third, given)
        print(f"{path.read_text(encoding='utf-8')}\nwritten to {path}")
    for complaint in complaints:
        print(f"NOT AS IT SHOULD BE: {complaint}")
    sys.exit(bool(complaints))


def settings(given: argparse.Namespace) -> list[str]:
    """Return the overrides that all runs share; they are validated once, at their end, so that no epoch is chosen."""
    return [
        f"backbone={given.backbone}",
        f"data.size={given.size}",
        f"data.batch_size={given.batch_size}",
        f"data.num_scenes={given.scenes}",
        f"trainer.check_val_every_n_epoch={given.epochs}",
        f"trainer={given.trainer}",
    ]


def train(session: Session, overrides: dict[str, list[str]], given: argparse.Namespace) -> Runs:
    """Return the runs by name, one a seed: all of a seed follow on one another, as the machine's mood changes."""
    runs: Runs = {name: [] for name in overrides}
    for seed in given.seeds:
        for name, own in overrides.items():
            common = (*settings(given), f"seed={seed}")
            runs[name].append(session.train(f"{name}_{seed}", *own, *common, epochs=given.epochs))
    return runs


def figures(runs: Sequence[Run], head: str) -> list[float]:
    """Return the monitor of one of several heads of each run."""
    return [float(run.result["metrics"][_name(run, head)]) for run in runs]


def trivial(run: Run, head: str) -> float:
    """Return what the best constant guess of one of several heads scores."""
    return float(run.result["trivial"][_name(run, head)])


def ratios(runs: Runs) -> list[float]:
    """Return for each seed the training seconds of the three together over the sum of the three by themselves."""
    together = [_seconds(run) for run in runs["multitask"]]
    apart = [sum(_seconds(run) for run in of_seed) for of_seed in zip(*(runs[head] for head in HEADS), strict=True)]
    return [one / other for one, other in zip(together, apart, strict=True)]


def judge(runs: Runs) -> list[str]:
    """Return what misses its goal."""
    complaints = []
    for head in HEADS:
        single, multi = [run.figure(SPLIT) for run in runs[head]], figures(runs["multitask"], head)
        if mean(multi) - mean(single) < GOAL_POINTS:
            complaints.append(f"{head}: {mean(multi):.4f} together, {mean(single):.4f} by itself")
    if (ratio := median(ratios(runs))) > GOAL_SECONDS:
        complaints.append(f"the three together take {ratio:.2f} x the time of the three by themselves")
    return complaints


def judge_third(runs: Sequence[Run]) -> list[str]:
    """Return the heads that have not learned from a third of the labels."""
    return [
        f"{head}, a third of the labels: {least:.4f}, and a constant guess has {guess:.4f}"
        for head in HEADS
        if (least := min(figures(runs, head))) < (guess := trivial(runs[0], head)) + GOAL_ABOVE
    ]


def tell(session: Session, runs: Runs, given: argparse.Namespace) -> Path:
    """Write the tables of the heads together and apart."""
    rows: list[list[object]] = []
    for head in HEADS:
        single, multi = [run.figure(SPLIT) for run in runs[head]], figures(runs["multitask"], head)
        apart = [b - a for a, b in zip(single, multi, strict=True)]
        guess = trivial(runs["multitask"][0], head)
        rows.append([_metric(runs["multitask"][0], head), *map(_spread, (single, multi, apart)), guess])
    seconds = [
        [name, *(f"{_seconds(run):.0f}" for run in of_name), f"{mean(map(_seconds, of_name)):.0f}"]
        for name, of_name in runs.items()
    ]
    found = ratios(runs)
    seconds.append(["together / sum of the three", *(f"{one:.2f}" for one in found), f"{median(found):.2f} (median)"])
    return write(
        "multitask",
        "Several heads over one backbone",
        session,
        f"{_about(runs['multitask'], given)} Goals: each head at most {-GOAL_POINTS:g} below its own run, in at most "
        f"{GOAL_SECONDS:g} x the seconds of the three.",
        markdown([f"{SPLIT} metric", "by itself", "together", "difference", "trivial"], rows),
        "Seconds of training, the validation at its end included:",
        markdown(["run", *(f"seed {seed}" for seed in given.seeds), "mean"], seconds),
        "Commands:",
        listed(session.commands),
    )


def tell_third(session: Session, runs: Sequence[Run], given: argparse.Namespace) -> Path:
    """Write the table of the heads that have a third of the labels each."""
    rows = [[_metric(runs[0], head), _spread(figures(runs, head)), trivial(runs[0], head)] for head in HEADS]
    return write(
        "partly_labelled",
        "Several heads, and each image labelled for one of them",
        session,
        f"{_about(runs, given)} Each training image carries a class, a mask or boxes. Goal: every head and seed at "
        f"least {GOAL_ABOVE:g} above a constant guess.",
        markdown([f"{SPLIT} metric", "a third of the labels", "trivial"], rows),
        "Commands:",
        listed(session.commands),
    )


def _about(runs: Sequence[Run], given: argparse.Namespace) -> str:
    return (
        f"Digits at {given.size} px, {given.backbone}, {runs[0].result['steps']} steps of {given.batch_size} images in "
        f"every run; mean and deviation over {len(given.seeds)} seeds."
    )


def _name(run: Run, head: str) -> str:
    """Return the name that a run's result has for the monitor of one of several heads."""
    return next(name for name in run.result["trivial"] if name.startswith(f"{SPLIT}/{head}/"))


def _metric(run: Run, head: str) -> str:
    return _name(run, head).removeprefix(f"{SPLIT}/").replace("/", ": ")


def _seconds(run: Run) -> float:
    return float(run.result["seconds"]["training"])


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.4f} +- {stdev(values) if len(values) > 1 else 0:.4f}"


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.multitask", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="what to train; both by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--scenes", type=int, default=1600, help="for training; validation and test have a fifth each")
    parser.add_argument("--batch-size", type=int, default=16, help="images a step: many steps count for more")
    parser.add_argument("--size", type=int, default=96, help="pixels")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--trainer", choices=("cpu", "gpu"), default="cpu", help="where to train")
    parser.add_argument("--folder", type=Path, help="of the runs; finished ones in it are not trained again")
    return parser


if __name__ == "__main__":
    main()
