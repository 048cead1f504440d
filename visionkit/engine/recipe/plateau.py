"""Lower the learning rate when the monitor no longer rises."""

from __future__ import annotations

import logging
import math
from typing import Any

import lightning as L

from visionkit.engine.recipe.schedule import check_fractions, rising

log = logging.getLogger("visionkit")


class Plateau:
    """The learning rate's factor: linear warm-up, then lower by a factor at each stand-still of the monitor.

    The monitor stands still when `patience` validations in a row bring no new best; counting begins behind the
    warm-up. PyTorch's ReduceLROnPlateau sets the rates of an optimizer by itself, so that nothing else can: no warm-up.
    """

    _STATE = ("lowered", "best", "without", "progress")

    def __init__(self, warmup: float = 0.05, factor: float = 0.1, patience: int = 5, final: float = 0.001) -> None:
        check_fractions(warmup, final)
        if not 0 < factor < 1:
            raise ValueError(f"factor={factor} does not lower the rate: 0 < factor < 1")
        if patience < 1:
            raise ValueError(f"patience={patience} is no number of validations; give 1 or more")
        self.warmup = warmup
        self.factor = factor
        self.patience = patience
        self.final = final
        self.lowered = 1.0
        """What the stand-stills so far have left of the rate."""
        self.best = -math.inf
        self.without = 0
        """Validations since the last new best, or since the rate was last lowered."""
        self.progress = 0.0

    def __call__(self, progress: float) -> float:
        """Return the factor at `progress`, 0 (start) to 1 (end)."""
        self.progress = progress
        return rising(progress, self.warmup) * self.lowered

    def observe(self, value: float) -> bool:
        """Take the monitor of a validation, larger being better; return whether the rate falls."""
        better = value > self.best
        self.best = max(value, self.best)
        self.without = 0 if better or self.progress < self.warmup else self.without + 1
        if self.without < self.patience:
            return False
        self.without = 0
        before = self.lowered
        self.lowered = max(before * self.factor, self.final)
        return self.lowered < before

    def state_dict(self) -> dict[str, float]:
        """Return what it has seen and done."""
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on from there."""
        for name in self._STATE:
            setattr(self, name, state_dict[name])


class Watch(L.Callback):
    """Shows a plateau schedule the monitor of each validation, and keeps its state in the checkpoint.

    Metrics are computed from all ranks' samples on every rank, so that all decide the same.
    """

    def __init__(self, schedule: Plateau, monitor: str) -> None:
        self._schedule = schedule
        self._monitor = monitor

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the value, unless it is of an evaluation behind the training."""
        if trainer.state.fn != "fit" or self._monitor not in trainer.callback_metrics:
            return
        if self._schedule.observe(float(trainer.callback_metrics[self._monitor])) and trainer.is_global_zero:
            log.info(
                "scheduler: %s has not risen for %d validations; from here on %.3g of the learning rate",
                self._monitor, self._schedule.patience, self._schedule.lowered,
            )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return what the schedule has seen and done."""
        return self._schedule.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the schedule go on from there."""
        self._schedule.load_state_dict(state_dict)
