"""A training of a few numbers, with the callbacks that survival needs and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from visionkit.engine.survival.consensus import Consensus
from visionkit.engine.survival.interrupt import Interrupt
from visionkit.engine.survival.saving import checkpoints
from visionkit.engine.survival.writing import Whole

STEPS = 4
"""Batches of an epoch."""


class Numbers(L.LightningModule):
    """Learns a line; calls `at(place, count)` in every step, `count` of its kind since the beginning."""

    def __init__(self, at: Callable[[str, int], None]) -> None:
        super().__init__()
        self.line = torch.nn.Linear(2, 1)
        self.at = at
        self.counts = {"train": 0, "val": 0}

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        self._call("train")
        loss: Tensor = self.line(batch[0]).square().mean()
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log a score."""
        self._call("val")
        self.log("val/score", float(self.counts["val"]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def _call(self, place: str) -> None:
        self.counts[place] += 1
        self.at(place, self.counts[place])


def train(run_dir: Path, at: Callable[[str, int], None], **trainer: Any) -> tuple[Interrupt, Numbers]:
    """Train two epochs as `fit` does, signals heard; return what answers them, and the module."""
    best, last = checkpoints(str(run_dir / "checkpoints"), "val/score", None)
    interrupt = Interrupt(last, Consensus())
    module = Numbers(at)
    loader = DataLoader(TensorDataset(torch.ones(STEPS, 2)))
    built = L.Trainer(
        callbacks=[best, last, interrupt], accelerator="cpu", max_epochs=2, min_epochs=0, logger=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=str(run_dir),
        **trainer,
    )  # fmt: skip
    built.strategy.checkpoint_io = Whole()
    with interrupt.signals:
        built.fit(module, loader, loader)
    return interrupt, module


def saved(run_dir: Path, name: str = "last.ckpt") -> dict[str, Any]:
    """Return a checkpoint of a run."""
    found: dict[str, Any] = torch.load(run_dir / "checkpoints" / name, weights_only=True)
    return found
