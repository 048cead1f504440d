"""Hold what happens beside the steps of a training: the bar, the log lines, the stop by Ctrl-C, the counting."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from torch import Tensor

from visionkit.types import Batch

log = logging.getLogger("visionkit")


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


class ProgressBar(RichProgressBar):
    """A bar an epoch with the loss and the task's metric."""

    def __init__(self, monitor: str) -> None:
        super().__init__(refresh_rate=5)
        self._monitor = monitor

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return what stands beside the bar."""
        shown = {name: trainer.callback_metrics.get(name) for name in ("train/loss", self._monitor)}
        return {name: f"{float(value):.3f}" for name, value in shown.items() if value is not None}


class EpochLog(L.Callback):
    """Writes a line an epoch: losses, the monitor and its best so far."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self._best = float("-inf")
        self._start = 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the watch."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the line."""
        if not trainer.is_global_zero or self._monitor not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics[self._monitor])
        self._best = max(self._best, value)
        names = ("train/loss", "val/loss")
        losses = "  ".join(
            f"{n} {float(trainer.callback_metrics[n]):.3f}" for n in names if n in trainer.callback_metrics
        )
        seconds = time.perf_counter() - self._start
        log.info(
            "epoch %3d  %4.0f s  %s  %s %.4f  (best %.4f)",
            trainer.current_epoch + 1, seconds, losses, self._monitor, value, self._best,
        )  # fmt: skip


class History(L.Callback):
    """Keeps the curves that the closing hints look at, whatever the loggers write."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self.scores: list[float] = []
        """The monitor of each validation."""
        self.losses: list[float] = []
        """The mean training loss of each epoch."""
        self.first_loss: float | None = None
        """The first batch's loss, that of the weights before any step."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Note the first loss."""
        if self.first_loss is None:
            self.first_loss = float(outputs["loss"]) * trainer.accumulate_grad_batches

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the score, unless it is of an evaluation behind the training."""
        if trainer.state.fn == "fit" and self._monitor in trainer.callback_metrics:
            self.scores.append(float(trainer.callback_metrics[self._monitor]))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the loss."""
        if "train/loss" in trainer.callback_metrics:
            self.losses.append(float(trainer.callback_metrics["train/loss"]))


class Throughput(L.Callback):
    """Counts images and the seconds spent on training steps, loading included, validation left out."""

    def __init__(self) -> None:
        self.images = 0
        self.seconds = 0.0
        self._since = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the watch."""
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count a batch."""
        now = time.perf_counter()
        self.images += len(batch.images) * trainer.world_size
        self.seconds += now - self._since
        self._since = now

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the validation out."""
        self._since = time.perf_counter()

    @property
    def images_per_second(self) -> float:
        """Return the training images a second; 0 before the first step."""
        return self.images / self.seconds if self.seconds else 0.0


class Interrupt(L.Callback):
    """Turns the first Ctrl-C into a clean end: the step is finished, the model validated and saved.

    A second Ctrl-C ends at once.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._before: Any = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen for the signal."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._stop)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop on every rank when one was told to."""
        if trainer.strategy.reduce_boolean_decision(self.pressed, all=False):
            self.pressed = True
            trainer.should_stop = True

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the signal back."""
        self._release()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Give the signal back."""
        self._release()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        self._release()
        log.warning("stopping: the model is being validated and saved; press Ctrl-C again to leave at once")

    def _release(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
