"""Draw the README's picture: python -m benchmarks.picture <three checkpoints> [--out docs/images/digits.jpg]."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

import visionkit
from benchmarks.session import ROOT
from visionkit.config.frozen import plain
from visionkit.engine.build import build_data
from visionkit.engine.checkpoint import load_model
from visionkit.engine.evaluation import merged_data
from visionkit.engine.pictures import write_image
from visionkit.tasks.grid import side_by_side
from visionkit.types import Image

SCENES = 6
"""The first ones of the validation split, not chosen ones."""

CELL = 240
"""Pixels of a scene's side in the picture."""


def main() -> None:
    """Draw what each model sees in the same scenes of its validation split, and write the picture."""
    arguments = parser().parse_args()
    models = [visionkit.load(path) for path in arguments.checkpoints]
    scenes = images(arguments.checkpoints[0])
    rows = []
    for scene in scenes:
        drawn = []
        for model in models:
            (name,) = model.tasks
            drawn.append(model.tasks[name].draw(scene, model.results(scene)[name]))
        rows.append(tuple(drawn))
    headings = tuple(next(iter(model.tasks)) for model in models)
    write_image(arguments.out, side_by_side(rows, headings, 2, CELL))
    print(f"written to {arguments.out}")


def images(checkpoint: Path) -> list[Image]:
    """Return the first validation images of a checkpoint's own data."""
    model = load_model(checkpoint)
    whole = OmegaConf.create({"data": merged_data(model, None, (), checkpoint)})
    kinds = tuple(task.kind for task in model.tasks.values())
    records = build_data(plain(whole)["data"], None, model.manifest["seed"], kinds).records["val"]
    return [np.asarray(records.images[index]) for index in range(SCENES)]


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.picture", description=__doc__)
    made.add_argument("checkpoints", type=Path, nargs="+", help="models of the digits, a task each")
    made.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "digits.jpg")
    return made


if __name__ == "__main__":
    main()
