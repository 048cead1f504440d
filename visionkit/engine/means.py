"""Average the loss and its terms over an epoch, and write the curves of single steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from visionkit.ops.ranks import total, world_size
from visionkit.types import Batch


class Running:
    """The mean so far of named values, weighted by images; kept on the device, so that nothing waits for it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sums: Tensor | None = None  # of value times images, by name
        self.images = 0.0

    def add(self, values: Mapping[str, Tensor], images: float) -> None:
        """Add the values of a batch, the same names each time; `images` has to be the same on all ranks.

        The ranks' values are parts of one, each over what all of them count: none weighs more for having more images.
        """
        stacked = torch.stack([value.detach().float() for value in values.values()])
        if self.sums is None:
            self.names, self.sums = list(values), torch.zeros_like(stacked)
        self.sums = self.sums.to(stacked.device).add_(stacked, alpha=images)
        self.images += images

    def of_all_ranks(self) -> tuple[Tensor, float]:
        """Return the sums and the images of all processes, each of which has to ask."""
        assert self.sums is not None
        counted = total(torch.cat([self.sums, self.sums.new_tensor([self.images])]))
        return counted[:-1], float(counted[-1])


class Means(L.Callback):
    """Logs the means of the `terms` that steps return, over an epoch and all processes.

    A step adds one small vector: Lightning's own logging costs 0.1 ms and more a value and step. What is summed of a
    training epoch that goes on is in the state, so that one resumed in the middle ends with the same means. It has to
    stand before the callbacks that read `train/loss`.

    Each `log_every_n_steps` steps the loggers get `lr`, the highest of the parameter groups' learning rates in that
    step, and `train/loss_step`.
    """

    def __init__(self) -> None:
        self._train = Running()
        self._evaluated = Running()  # validation may run in the middle of a training epoch
        self._rate: float | None = None  # of the step that the batch ends with, if it does

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Note the learning rate: behind the step it is the next one's."""
        self._rate = max(float(group["lr"]) for group in optimizer.param_groups)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Add a batch, and write the values of the step where they are due."""
        self._train.add(outputs["terms"], 1)  # all batches of a training are of one size
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # its logger connector sets it
        if self._rate is not None and trainer.global_step % every == 0:
            loss = trainer.strategy.reduce(outputs["terms"]["train/loss"].clone(), reduce_op="mean")
            values = {"lr": self._rate, "train/loss_step": float(loss), "epoch": trainer.current_epoch}
            for logger in trainer.loggers:
                logger.log_metrics(values, step=trainer.global_step - 1)
        self._rate = None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch's means."""
        self._train = _logged(self._train, pl_module)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch."""
        self._evaluated.add(outputs["terms"], float(total(torch.tensor(len(batch.images), device=pl_module.device))))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the means of the split."""
        self._evaluated = _logged(self._evaluated, pl_module)

    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    def state_dict(self) -> dict[str, Any]:
        """Return what is summed of the training epoch, over all processes."""
        if self._train.sums is None:
            return {}
        sums, images = self._train.of_all_ranks()
        return {"names": self._train.names, "sums": sums.cpu(), "images": images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take this process's share of what was summed before."""
        if state_dict:
            self._train.names = list(state_dict["names"])
            self._train.sums = state_dict["sums"] / world_size()
            self._train.images = float(state_dict["images"]) / world_size()


def _logged(running: Running, module: L.LightningModule) -> Running:
    """Log the means of an epoch; return where the next one is summed."""
    if running.sums is not None:
        sums, images = running.of_all_ranks()
        # Every process has the same already; Lightning wants to be told that they may be averaged.
        module.log_dict(dict(zip(running.names, sums / images, strict=True)), sync_dist=world_size() > 1)
    return Running()
