"""Show and keep what happens during a training: the bar, the log lines, the curves, the speed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

from visionkit.engine.recipe.loss_weights import LearnedWeights
from visionkit.types import Batch

log = logging.getLogger("visionkit")


class ProgressBar(RichProgressBar):
    """A bar an epoch with the loss and what the run is judged by; `beside` names more."""

    def __init__(self, monitor: str, beside: Sequence[str] = ()) -> None:
        super().__init__(refresh_rate=5)
        self._names = ("train/loss", monitor, *beside)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return what stands beside the bar."""
        shown = {name: trainer.callback_metrics.get(name) for name in self._names}
        return {name: f"{float(value):.3f}" for name, value in shown.items() if value is not None}


class EpochLog(L.Callback):
    """Writes a line an epoch: losses, the monitor and its best so far, then the metrics named by `beside`."""

    def __init__(self, monitor: str, beside: Sequence[str] = ()) -> None:
        self._monitor = monitor
        self._beside = beside
        self._best = float("-inf")
        self._before = 0.0  # seconds spent before a resume
        self._start = 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the watch."""
        self._start = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Return what the lines of a resumed run begin with."""
        return {"best": self._best, "seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what the run has come to before."""
        self._best, self._before = state_dict["best"], state_dict["seconds"]

    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._start

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
        beside = "".join(
            f"  {name.partition('/')[2]} {float(trainer.callback_metrics[name]):.4f}"
            for name in self._beside
            if name in trainer.callback_metrics
        )
        log.info(
            "epoch %3d  %4.0f s  %s  %s %.4f  (best %.4f)%s",
            trainer.current_epoch + 1, self._seconds(), losses, self._monitor, value, self._best, beside,
        )  # fmt: skip


class History(L.Callback):
    """Keeps the curves that the closing hints look at, whatever the loggers write."""

    def __init__(self, monitor: str, beside: Sequence[str] = ()) -> None:
        self._monitor = monitor
        self.scores: list[float] = []
        """The monitor of each validation."""
        self.beside: dict[str, list[float]] = {name: [] for name in beside}
        """The same of the metrics named by `beside`."""
        self.losses: list[float] = []
        """The mean training loss of each epoch."""
        self.first_loss: float | None = None
        """The first batch's loss, that of the weights before any step."""
        self.terms: tuple[str, ...] = ()
        """The terms of the loss, named without a split."""
        self.weights: dict[str, float] = {}
        """What the heads' losses are multiplied by at the end, where that is learned."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Note the first loss."""
        if self.first_loss is None:
            self.first_loss = float(outputs["loss"]) * trainer.accumulate_grad_batches

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the scores, unless they are of an evaluation behind the training."""
        if trainer.state.fn == "fit":
            for name, curve in {self._monitor: self.scores, **self.beside}.items():
                if name in trainer.callback_metrics:
                    curve.append(float(trainer.callback_metrics[name]))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the loss, the names of its terms and what weighs the heads'."""
        if "train/loss" in trainer.callback_metrics:
            self.losses.append(float(trainer.callback_metrics["train/loss"]))
        names = (name.partition("/") for name in trainer.callback_metrics if name != "train/loss")
        self.terms = tuple(name for split, _, name in names if split == "train")
        if isinstance(weights := getattr(pl_module, "loss_weights", None), LearnedWeights):
            self.weights = {name: round(weight, 6) for name, weight in weights.weights.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the curves so far."""
        return {
            "scores": list(self.scores),
            "losses": list(self.losses),
            "beside": {name: list(curve) for name, curve in self.beside.items()},
            "first_loss": self.first_loss,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the curves so far."""
        self.scores, self.losses = list(state_dict["scores"]), list(state_dict["losses"])
        self.beside.update({name: list(curve) for name, curve in state_dict["beside"].items()})
        self.first_loss = state_dict["first_loss"]


class Throughput(L.Callback):
    """Counts images and the seconds spent on training steps, loading included, validation left out."""

    def __init__(self) -> None:
        self.images = 0
        self.seconds = 0.0
        self._since = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the watch: an epoch that is gone on with in its middle has no start."""
        self._since = time.perf_counter()

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

    def state_dict(self) -> dict[str, Any]:
        """Return the counts so far."""
        return {"images": self.images, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the counts so far."""
        self.images, self.seconds = state_dict["images"], state_dict["seconds"]

    @property
    def images_per_second(self) -> float:
        """Return the training images a second; 0 before the first step."""
        return self.images / self.seconds if self.seconds else 0.0
