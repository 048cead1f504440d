"""Say how far a training is, and end it when its time is up."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from torch import Tensor


class Clock(L.Callback):
    """Knows how far the training is, and ends it when its time is up.

    With `budget` (seconds) the progress is the time since the start of fitting, validation included, and the
    training stops, and validates, when it is spent; rank 0's watch counts for all. Without, it is the step's number
    over the number of steps.
    """

    def __init__(self, budget: float | None = None) -> None:
        self.budget = budget
        self.progress = 0.0
        self.before = 0.0
        """Seconds spent before a resume."""
        self._start = 0.0
        self._steps = 1

    def at(self, step: int) -> float:
        """Return the progress at a step, counted from 0; with a budget that of the latest batch's start."""
        return self.progress if self.budget is not None else step / self._steps

    def elapsed(self) -> float:
        """Return the seconds spent fitting so far."""
        return self.before + time.perf_counter() - self._start

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the watch, or count the steps to take."""
        self._start = time.perf_counter()
        if self.budget is None:
            self._steps = max(int(trainer.estimated_stepping_batches), 1)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Advance the progress, the same on every rank."""
        if self.budget is None:
            self.progress = trainer.global_step / self._steps
        else:
            self.progress = self._shared(trainer, self.elapsed() / self.budget)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Tensor | Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop when the budget is spent."""
        if self.budget is not None and self._shared(trainer, self.elapsed() / self.budget) >= 1:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds spent, so that a resumed run does not begin its budget anew."""
        return {"elapsed": self.elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the seconds spent before."""
        self.before = float(state_dict["elapsed"])

    @staticmethod
    def _shared(trainer: L.Trainer, value: float) -> float:
        return float(trainer.strategy.broadcast(value)) if trainer.world_size > 1 else value
