"""Train three heads over one backbone, and each by itself for as many steps: python -m benchmarks.multitask."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev

from benchmarks.session import Run, Session
from benchmarks.table import markdown, write

HEADS = ("classification", "segmentation", "detection")
SPLIT = "test"
THIRD = "+data.reader.labels=one"
"""Lets a training scene carry one kind of labels only, the three kinds in turn."""

GOAL_POINTS = -0.02
"""How far the mean over the seeds of a head's monitor may lie from that of its single runs."""
GOAL_SECONDS = 0.6
"""What training together may take of the sum of the three."""
GOAL_ABOVE = 0.1
"""How far above a constant guess each head has to be that has a third of the labels."""


def main() -> None:
    """Train all, write `results/multitask.md` and print it; end with 1 when a goal is missed."""
    arguments = parser().parse_args()
    folder = arguments.folder or Path("runs", "benchmarks", time.strftime("%Y-%m-%d_%H-%M-%S"))
    print(f"runs are kept in {folder}; to go on after a stop, give --folder {folder} and the same arguments")
    session = Session(folder, None)
    runs = train(session, settings(arguments), arguments.epochs, arguments.seeds)
    complaints = judge(runs)
    path = tell(session, runs, arguments)
    print(f"{path.read_text(encoding='utf-8')}\nwritten to {path}")
    for complaint in complaints:
        print(f"NOT AS IT SHOULD BE: {complaint}")
    sys.exit(bool(complaints))


def settings(arguments: argparse.Namespace) -> list[str]:
    """Return the overrides that all runs share; they are validated once, at their end, so that no epoch is chosen."""
    return [
        f"backbone={arguments.backbone}",
        f"data.size={arguments.size}",
        f"data.batch_size={arguments.batch_size}",
        f"data.num_scenes={arguments.scenes}",
        f"trainer.check_val_every_n_epoch={arguments.epochs}",
        f"trainer={arguments.trainer}",
    ]


def train(session: Session, common: Sequence[str], epochs: int, seeds: Sequence[int]) -> dict[str, list[Run]]:
    """Return the runs by name, one a seed: all of a seed follow on one another, as the machine's mood changes."""
    overrides = {"multitask": ["task=multitask"], **{head: [f"task={head}"] for head in HEADS}}
    overrides["third"] = ["task=multitask", THIRD]
    runs: dict[str, list[Run]] = {name: [] for name in overrides}
    for seed in seeds:
        for name, own in overrides.items():
            runs[name].append(session.train(f"{name}_{seed}", *own, *common, f"seed={seed}", epochs=epochs))
    return runs


def figures(runs: Sequence[Run], head: str, monitor: str) -> list[float]:
    """Return a head's monitor of each run."""
    return [float(run.result["metrics"][f"{SPLIT}/{head}/{monitor}"]) for run in runs]


def monitors(runs: Mapping[str, Sequence[Run]]) -> dict[str, str]:
    """Return by which metric each head is judged."""
    return {head: runs[head][0].result["monitor"].removeprefix("val/") for head in HEADS}


def ratios(runs: Mapping[str, Sequence[Run]]) -> list[float]:
    """Return for each seed the training seconds of the three together over the sum of the three by themselves."""
    together = [_seconds(run) for run in runs["multitask"]]
    apart = [sum(_seconds(run) for run in of_seed) for of_seed in zip(*(runs[head] for head in HEADS), strict=True)]
    return [one / other for one, other in zip(together, apart, strict=True)]


def judge(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return what misses its goal."""
    complaints = []
    for head, monitor in monitors(runs).items():
        single, multi = [run.figure(SPLIT) for run in runs[head]], figures(runs["multitask"], head, monitor)
        if mean(multi) - mean(single) < GOAL_POINTS:
            complaints.append(f"{head}: {mean(multi):.4f} together, {mean(single):.4f} by itself")
        trivial = runs[head][0].trivial(SPLIT)
        if (least := min(figures(runs["third"], head, monitor))) < trivial + GOAL_ABOVE:
            complaints.append(f"{head}, a third of the labels: {least:.4f}, and a constant guess has {trivial:.4f}")
    if (ratio := median(ratios(runs))) > GOAL_SECONDS:
        complaints.append(f"the three together take {ratio:.2f} x the time of the three by themselves")
    return complaints


def tell(session: Session, runs: Mapping[str, Sequence[Run]], arguments: argparse.Namespace) -> Path:
    """Write the tables."""
    rows: list[list[object]] = []
    for head, monitor in monitors(runs).items():
        single, multi = [run.figure(SPLIT) for run in runs[head]], figures(runs["multitask"], head, monitor)
        third = figures(runs["third"], head, monitor)
        apart = [b - a for a, b in zip(single, multi, strict=True)]
        rows.append([head, monitor, *map(_spread, (single, multi, apart, third)), runs[head][0].trivial(SPLIT)])
    columns = ["head", f"{SPLIT} metric", "by itself", "together", "difference", "a third of the labels", "trivial"]
    spent = {name: [_seconds(run) for run in of_name] for name, of_name in runs.items() if name != "third"}
    seconds = [[name, *(f"{one:.0f}" for one in of_name), f"{mean(of_name):.0f}"] for name, of_name in spent.items()]
    found = ratios(runs)
    seconds.append(["together / sum of the three", *(f"{one:.2f}" for one in found), f"{median(found):.2f} (median)"])
    seeds = [f"seed {seed}" for seed in arguments.seeds]
    steps = runs["multitask"][0].result["steps"]
    return write(
        "multitask",
        "Several heads over one backbone",
        session,
        f"Digits at {arguments.size} px, {arguments.backbone}, {steps} steps of {arguments.batch_size} images in every "
        f"run; mean and deviation over {len(arguments.seeds)} seeds. With a third of the labels each training image "
        "carries a class, a mask or boxes. "
        f"Goals: each head at most {-GOAL_POINTS:g} below its own run, in at most {GOAL_SECONDS:g} x the seconds of "
        f"the three; with a third of the labels at least {GOAL_ABOVE:g} above a constant guess.",
        markdown(columns, rows),
        "Seconds of training, the validation at its end included:",
        markdown(["run", *seeds, "mean"], seconds),
        "Commands:",
        "\n".join(f"    {command}" for command in session.commands),
    )


def _seconds(run: Run) -> float:
    return float(run.result["seconds"]["training"])


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.4f} +- {stdev(values) if len(values) > 1 else 0:.4f}"


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.multitask", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--scenes", type=int, default=1600, help="for training; validation and test have a fifth each")
    parser.add_argument("--batch-size", type=int, default=16, help="images a step: many steps count for more")
    parser.add_argument("--size", type=int, default=96, help="pixels")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--trainer", choices=("cpu", "gpu"), default="cpu", help="where to train")
    parser.add_argument("--folder", type=Path, help="of the runs; finished ones in it are not trained again")
    return parser


if __name__ == "__main__":
    main()
