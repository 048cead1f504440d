"""Give the last step of an epoch its full size when fewer batches are left for it."""

from __future__ import annotations

from typing import Any

import lightning as L
from torch.optim import Optimizer


class FullMean(L.Callback):
    """Makes each step's gradient the mean of its batches' gradients.

    With `accumulate_grad_batches` Lightning divides the loss of each batch by that number, also where an epoch ends
    with fewer: that step would be too small. Batches count alike, whatever is in them: a loss that is divided by a
    count, such as that of the boxes in a batch, is not the one of a single large batch.
    """

    def __init__(self) -> None:
        self._batches = 0  # of the step so far

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch."""
        self._batches = batch_idx % trainer.accumulate_grad_batches + 1

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Divide by the batches that there are; clipping comes after."""
        if self._batches < trainer.accumulate_grad_batches:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad.mul_(trainer.accumulate_grad_batches / self._batches)
