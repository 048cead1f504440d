"""Load a checkpoint for prediction; `visionkit.load` is this function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visionkit.engine.checkpoint import load_model
from visionkit.engine.predictor import Predictor


def load(path: str | Path, device: str = "cpu", trusted: Sequence[str] = ()) -> Predictor:
    """Load a model: `visionkit.load("best.ckpt").predict("cat.jpg")`.

    Needs the file alone: no config folder, no network. `trusted` names packages of yours whose classes the checkpoint
    may build. Raises CheckpointError when the file cannot be read or wants more than that.
    """
    return Predictor(load_model(path, trusted), device)
