"""Write the checkpoints of a training."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from torch import Tensor

from visionkit.config.values import LAST, steps_or_seconds

_LOOK = 10
"""Steps from one look at rank 0's watch to the next where several processes have to agree."""


class Best(ModelCheckpoint):
    """Keeps the model of the highest monitor, of equal ones the latest: on a small set many epochs score the same."""

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        """Return whether the current value is at least the best so far."""
        if current is not None:
            current = torch.nextafter(current, torch.full_like(current, torch.inf))
        return super().check_monitor_top_k(trainer, current)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best so far, in the folder where the run lies now."""
        here = {
            **state_dict,
            "dirpath": self.dirpath,
            "best_k_models": {self._here(path): score for path, score in state_dict["best_k_models"].items()},
            **{key: self._here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path")},
        }
        super().load_state_dict(here)
        self.current_score = state_dict["current_score"]  # which Lightning writes but does not take

    def _here(self, path: str) -> str:
        return str(Path(str(self.dirpath)) / Path(path).name) if path else ""


class Last(Checkpoint):
    """Writes `last.ckpt`, all that resuming needs: between two epochs, each `every` within one, and at a stop.

    Within an epoch it is written behind a step of the optimizer, as gradients that are still being summed are in no
    checkpoint; a stop waits for that. Between two epochs it is written when the next begins: only then are the
    schedules moved on and the curves written that belong to the one before.

    Args:
        folder: Where it is written.
        every: Steps of the optimizer, or a duration such as `10min`; None for between epochs only.
    """

    def __init__(self, folder: str | Path, every: int | str | None = None) -> None:
        self.path = Path(folder) / LAST
        self._steps, self._seconds = steps_or_seconds(every, "save_every")
        self._seen = 0  # the step of the optimizer that the batch before ended with
        self._saved = 0  # the step of the checkpoint
        self._at = 0.0  # when it was written
        self._stopping = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count, behind what a resumed run has done before."""
        self._seen = self._saved = trainer.global_step
        self._at = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write when it is time, but for an epoch's last batch: then it is done when all is done that follows."""
        stepped, self._seen = trainer.global_step != self._seen, trainer.global_step
        self._stopping |= trainer.should_stop
        trainer.should_stop = self._stopping and stepped
        if not stepped or trainer.is_last_batch:
            return
        if trainer.should_stop or (self._due(trainer) and not _validates(trainer, batch_idx)):
            self.save(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what the epoch before has come to."""
        self._save_once(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what the last epoch has come to, unless it was stopped within and is there already."""
        self._save_once(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say of an epoch that has not begun that it has not been made ready: Lightning would take it for done."""
        for count in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
            count["ready"] = count["started"]

    def save(self, trainer: L.Trainer) -> None:
        """Write the checkpoint; every rank has to call this."""
        trainer.save_checkpoint(self.path)
        self._saved = trainer.global_step
        self._at = time.perf_counter()

    def _save_once(self, trainer: L.Trainer) -> None:
        if trainer.global_step != self._saved:
            self.save(trainer)

    def _due(self, trainer: L.Trainer) -> bool:
        if self._steps is not None:
            return trainer.global_step - self._saved >= self._steps
        if self._seconds is None:
            return False
        if trainer.world_size > 1 and trainer.global_step % _LOOK:
            return False
        return bool(trainer.strategy.broadcast(time.perf_counter() - self._at >= self._seconds))


def _validates(trainer: L.Trainer, batch_idx: int) -> bool:
    """Return whether a validation within the epoch follows a batch: resumed behind it, a run would leave it out."""
    done = (batch_idx + 1, trainer.fit_loop.total_batch_idx + 1)
    return any(count % (trainer.val_check_batch or math.inf) == 0 for count in done)


def checkpoints(folder: str, monitor: str, save_every: int | str | None) -> tuple[Best, Last]:
    """Return the writers of `best.ckpt`, the model at its best, and `last.ckpt`, all that resuming needs."""
    best = Best(folder, "best", monitor=monitor, mode="max", save_weights_only=True, enable_version_counter=False)
    return best, Last(folder, save_every)
