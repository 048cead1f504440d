"""Write the checkpoints of a training."""

from __future__ import annotations

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor


class Best(ModelCheckpoint):
    """Keeps the model of the highest monitor, of equal ones the latest: on a small set many epochs score the same."""

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        """Return whether the current value is at least the best so far."""
        if current is not None:
            current = torch.nextafter(current, torch.full_like(current, torch.inf))
        return super().check_monitor_top_k(trainer, current)


def checkpoints(folder: str, monitor: str) -> list[ModelCheckpoint]:
    """Return the writers of `best.ckpt`, the model at its best, and `last.ckpt`, all that resuming needs."""
    best = Best(folder, "best", monitor=monitor, mode="max", save_weights_only=True, enable_version_counter=False)
    last = ModelCheckpoint(folder, "last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False)
    return [best, last]
