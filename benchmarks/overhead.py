"""Measure what a training step costs beyond a bare PyTorch loop: python -m benchmarks.overhead [--pairs 20].

Both train the same network on the same batches, which lie in memory, with the same optimizer: loading is left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import torch

from benchmarks.table import keep, markdown
from benchmarks.turns import Pair, compare


class Case(NamedTuple):
    """A network to compare on."""

    overrides: tuple[str, ...]
    steps: int
    """Of a turn."""
    plain: bool
    """Whether the bare loop is told nothing of layout, precision and memory."""
    figure: Callable[[Sequence[Pair]], float]
    unit: str
    goal: float | None
    at_least: bool


def milliseconds(pairs: Sequence[Pair]) -> float:
    """Return what a step of ours takes longer."""
    return median(pair.ours - pair.bare for pair in pairs)


def share(pairs: Sequence[Pair]) -> float:
    """Return what a step of ours takes longer, in hundredths of a bare one."""
    return median(100 * (pair.ours / pair.bare - 1) for pair in pairs)


def gain(pairs: Sequence[Pair]) -> float:
    """Return how many times as many images a second ours trains on."""
    return median(pair.bare / pair.ours for pair in pairs)


CASES = {
    "a small network": Case(
        ("backbone=vgg_tiny", "data.size=32", "data.batch_size=8"), 100, False, milliseconds, "ms more", 2.0, False
    ),
    "resnet18, 64 px, batch 32": Case(
        ("backbone=resnet18", "data.size=64", "data.batch_size=32"), 4, False, share, "% more", 3.0, False
    ),
    "resnet18, 128 px, batch 32, to a loop that is told nothing": Case(
        ("backbone=resnet18", "data.size=128", "data.batch_size=32"), 2, True, gain, "x images/s", 1.4, True
    ),
    "the same with trainer.precision=bf16-mixed": Case(
        ("backbone=resnet18", "data.size=128", "data.batch_size=32", "trainer.precision=bf16-mixed"),
        2, True, gain, "x images/s", None, True,
    ),
}  # fmt: skip
COMMON = ("task=classification", "trainer=cpu", "data.num_scenes=400")


def main() -> None:
    """Measure, print and write `results/overhead.md`; end with 1 when a goal is missed."""
    pairs = parser().parse_args().pairs
    rows, missed = [], []
    for name, case in CASES.items():
        found = compare((*COMMON, *case.overrides), pairs=pairs, steps=case.steps, plain=case.plain).pairs
        rows.append(row(name, case, found))
        missed += [] if reached(case, found) else [name]
    table = markdown(["network", "bare loop, ms a step", "visionkit, ms a step", "difference", "spread", "goal"], rows)
    print(table)
    about = (
        f"Medians of {pairs} pairs of turns, one of a training and one of a bare PyTorch loop, on the same batches in "
        "memory, made by `python -m benchmarks.overhead`. The training has all defaults on: callbacks, progress bar, "
        "metrics.csv, checkpoints. The bare loop clears gradients, runs the network, computes the loss, goes backward, "
        "clips the gradients' norm and steps the same (fused) optimizer and a schedule. In the last two rows it is "
        "told nothing of layout, precision and memory: contiguous, float32, freed memory goes back to the system. The "
        f"last one needs a processor that has bfloat16. {torch.get_num_threads()} threads. The spread is that of the "
        "middle half."
    )
    keep("overhead", "Overhead", about, table)
    if missed:
        sys.exit(f"NOT AS IT SHOULD BE: {', '.join(missed)}")


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    made.add_argument("--pairs", type=int, default=20, help="pairs of turns; the median counts")
    return made


def row(name: str, case: Case, pairs: Sequence[Pair]) -> list[object]:
    """Return the line of a case."""
    each = sorted(case.figure([pair]) for pair in pairs)
    quarter = len(each) // 4
    return [
        name,
        f"{median(pair.bare for pair in pairs):.2f}",
        f"{median(pair.ours for pair in pairs):.2f}",
        f"{case.figure(pairs):.2f} {case.unit}",
        f"{each[quarter]:.2f} to {each[-1 - quarter]:.2f}",
        "none" if case.goal is None else f"at {'least' if case.at_least else 'most'} {case.goal}",
    ]


def reached(case: Case, pairs: Sequence[Pair]) -> bool:
    """Return whether the figure of a case is as good as its goal."""
    figure = case.figure(pairs)
    if case.goal is None:
        return True
    return figure >= case.goal if case.at_least else figure <= case.goal


if __name__ == "__main__":
    main()
