"""Measure a GPU's images a second against a bare PyTorch loop: python -m benchmarks.gpu [--pairs 20].

resnet50, FCOS and U-Net in the trainer's own precision for the GPU (bf16-mixed where it has that), channels_last, eager
and compiled. Batches lie on the device. `--device cpu --tiny` tries the parts where there is no GPU; its figures say
nothing and are not kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from statistics import median

import torch

from benchmarks.machine import command_line, gpu
from benchmarks.table import keep, markdown
from benchmarks.turns import Measured, compare

CASES = {
    "resnet50, 224 px, batch 128": ("task=classification", "backbone=resnet50", "data.size=224", "data.batch_size=128"),
    "FCOS, resnet50 and FPN, 512 px, batch 16": (
        "task=detection", "backbone=resnet50", "data.size=512", "data.batch_size=16",
    ),
    "U-Net on resnet50, 256 px, batch 32": (
        "task=segmentation", "backbone=resnet50", "data.size=256", "data.batch_size=32",
    ),
}  # fmt: skip
TINY = ("backbone=resnet_tiny", "data.size=32", "data.batch_size=4", "data.num_scenes=40")
GOAL = 0.95
"""Of the bare loop's images a second, on resnet50."""


def main() -> None:
    """Measure, print each comparison and, on a GPU, write it down; end with 1 when a goal is missed."""
    given = parser().parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("benchmarks.gpu needs a GPU, and torch sees none; --device cpu --tiny tries its parts without one")
    trainer = "trainer=gpu" if given.device == "cuda" else "trainer=cpu"
    steps = 2 if given.tiny else 20
    rows: list[Sequence[object]] = []
    missed: list[str] = []
    for name, case in CASES.items():
        for compiled in (False,) if given.eager else (False, True):
            overrides = (trainer, "data.num_scenes=400", *case, *(TINY if given.tiny else ()))
            found = compare((*overrides, f"compile={str(compiled).lower()}"), pairs=given.pairs, steps=steps)
            rows.append(row(name, found, compiled=compiled))
            if ratio(found) < GOAL and name.startswith("resnet50"):
                missed.append(f"{name}, {'compiled' if compiled else 'eager'}")
            print(*rows[-1], sep="  ", flush=True)
            if given.device == "cuda":
                write(rows, given.pairs, steps)
    if missed and given.device == "cuda":
        sys.exit(f"NOT AS IT SHOULD BE: {', '.join(missed)}")


def write(rows: Sequence[Sequence[object]], pairs: int, steps: int) -> None:
    """Write `results/gpu.md` with the comparisons that there are so far."""
    about = (
        f"Medians of {pairs} pairs of turns of {steps} steps, made by `{command_line()}` on {gpu()}. Batches lie on "
        "the device; both sides have the same network, precision, memory layout, batches and fused optimizer, as "
        "`benchmarks/turns.py` says. The bare loop compiles the network as a whole. Memory is the most that was held "
        "in the last turn, the weights of both sides included."
    )
    columns = ["network", "", "bare loop, images/s", "visionkit, images/s", "ratio", "spread", "GiB, bare", "GiB"]
    keep("gpu", "On a GPU", about, markdown(columns, rows))


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    made.add_argument("--pairs", type=int, default=20, help="pairs of turns; the median counts")
    made.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="where to train")
    made.add_argument("--tiny", action="store_true", help="small networks and images, to try the parts")
    made.add_argument("--eager", action="store_true", help="leave the compiled ones out")
    return made


def ratio(found: Measured) -> float:
    """Return our images a second as a share of the bare loop's."""
    return median(pair.bare / pair.ours for pair in found.pairs)


def row(name: str, found: Measured, *, compiled: bool) -> Sequence[object]:
    """Return the line of a comparison."""
    each = sorted(pair.bare / pair.ours for pair in found.pairs)
    quarter = len(each) // 4
    steps = median(pair.bare for pair in found.pairs), median(pair.ours for pair in found.pairs)
    return [
        name,
        "compiled" if compiled else "eager",
        *(f"{1e3 * found.batch_size / step:.0f}" for step in steps),
        f"{ratio(found):.3f}",
        f"{each[quarter]:.3f} to {each[-1 - quarter]:.3f}",
        *(f"{held / 2**30:.2f}" for held in reversed(found.memory)),
    ]


if __name__ == "__main__":
    main()
