"""Take one step, the same for every task: network, loss, logged terms; outside training decoding and metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from visionkit.engine.heads import COMBINED
from visionkit.engine.processes.sharding import Sharded, shard
from visionkit.engine.recipe import groups
from visionkit.engine.recipe.averaging import EMA
from visionkit.engine.recipe.loss_weights import FixedWeights, LearnedWeights
from visionkit.models.contracts import Head
from visionkit.models.network import Network
from visionkit.tasks.base import Task
from visionkit.types import Batch

OptimizerFactory = Callable[[Iterable[dict[str, Any]]], Optimizer]


class VisionModule(L.LightningModule):
    """A network with the tasks of its heads, and how it is optimised.

    `tasks` and `class_names` are keyed by the names of the network's heads. `factor` returns the learning rate's
    factor at a step, `layer_decay` is a further one from level to level of the backbone, `loss_weights` adds up the
    heads' losses. `manifest` is the plain data that makes a checkpoint a model; it is written into each one.
    """

    def __init__(
        self,
        network: Network,
        tasks: dict[str, Task],
        class_names: dict[str, tuple[str, ...]],
        *,
        optimizer: OptimizerFactory,
        factor: Callable[[int], float],
        loss_weights: FixedWeights | LearnedWeights,
        layer_decay: float,
        channels_last: bool,
        manifest: dict[str, Any],
    ) -> None:
        super().__init__()
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self._memory_format)
        self.tasks = tasks
        self.class_names = class_names
        self.metrics = nn.ModuleDict({name: task.metric(class_names[name]) for name, task in tasks.items()})
        self.loss_weights = loss_weights
        self.manifest = manifest
        self._optimizer = optimizer
        self._factor = factor
        self._layer_decay = layer_decay

    def configure_model(self) -> None:
        """Share the network out to all processes, where the strategy says so."""
        strategy = self.trainer.strategy
        if isinstance(strategy, Sharded):
            self.network = shard(self.network, strategy.device_mesh["data_parallel"], strategy.synchronised)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Return `loss`, the weighted sum of the heads' losses, and `terms`, what is logged (`means.py`)."""
        outputs = self.network(self._images(batch), batch.targets)
        loss, terms = self._losses("train", outputs, batch)
        return {"loss": loss, "terms": terms}

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Feed a batch of the validation split to the metrics; return its `terms`."""
        return self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Feed a batch of the test split to the metrics; return its `terms`."""
        return self._evaluate(batch, "test")

    def on_train_epoch_end(self) -> None:
        """Log what the heads' losses are multiplied by, where that is learned."""
        if isinstance(self.loss_weights, LearnedWeights):
            weights = {self.log_name("train", head, "weight"): w for head, w in self.loss_weights.weights.items()}
            self.log_dict(weights, sync_dist=self.trainer.world_size > 1)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation split."""
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test split."""
        self._log_metrics("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer of the groups of all that learns, and the schedule a step."""
        found = groups.groups(self, self.network, self._layer_decay)
        optimizer = self._optimizer(found)
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * group["factor"]
        if self.trainer.is_global_zero:
            groups.tell(found)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the manifest, the metrics of the last validation and averaged weights: a checkpoint is the model."""
        metrics = {k: float(v) for k, v in self.trainer.callback_metrics.items() if k.startswith("val/")}
        checkpoint["visionkit"] = {**self.manifest, "metrics": metrics}
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, EMA):
                callback.complete(checkpoint)

    def log_name(self, split: str, head: str, name: str) -> str:
        """Return `<split>/<name>`, with the head between them when there are several."""
        return f"{split}/{name}" if len(self.tasks) == 1 else f"{split}/{head}/{name}"

    def _images(self, batch: Batch) -> Tensor:
        return batch.images.to(memory_format=self._memory_format)

    def _evaluate(self, batch: Batch, split: str) -> dict[str, Any]:
        outputs = self.network(self._images(batch))
        _, terms = self._losses(split, outputs, batch)
        with self._full_precision():
            for name, prediction in self.network.decode(outputs).items():
                self.tasks[name].update(self._metric(name), prediction, batch)
        return {"terms": terms}

    def _losses(self, split: str, outputs: dict[str, Any], batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the heads' losses, and what is logged of it by name."""
        with self._full_precision():
            terms = {head: self._head(head).loss(out, batch.targets) for head, out in outputs.items()}
            losses = {head: torch.stack([value.float() for value in own.values()]).sum() for head, own in terms.items()}
            labelled = {head: self.tasks[head].labelled(batch) for head in terms}
            loss: Tensor = self.loss_weights(losses, labelled)
        logged = {
            self.log_name(split, head, term): value.detach()
            for head, own in terms.items()
            for term, value in own.items()
        }
        return loss, {**(logged if len(logged) > 1 else {}), f"{split}/loss": loss.detach()}

    def _log_metrics(self, split: str) -> None:
        found: dict[str, float] = {}
        for head in self.tasks:
            metric = self._metric(head)
            for name, value in metric.compute().items():
                if not torch.isnan(torch.as_tensor(value)):
                    found[self.log_name(split, head, name)] = float(value)
            metric.reset()
        if len(self.tasks) > 1:
            found |= combined(self.tasks, found, split)
        # Computed from all ranks' samples already; Lightning wants to be told that they may be averaged.
        self.log_dict(found, sync_dist=self.trainer.world_size > 1)

    def _full_precision(self) -> torch.autocast:
        """Keep losses and metrics, which sum over many, out of the mixed precision that the network computes in."""
        return torch.autocast(self.device.type, enabled=False)

    def _head(self, name: str) -> Head:
        return cast(Head, self.network.heads[name])

    def _metric(self, name: str) -> Any:
        return self.metrics[name]


def combined(tasks: Mapping[str, Task], scores: Mapping[str, float], split: str) -> dict[str, float]:
    """Return the mean of the heads' monitors under its name, out of the scores of a split; nothing when one lacks."""
    monitors = [f"{split}/{head}/{task.monitor}" for head, task in tasks.items()]
    if not all(name in scores for name in monitors):
        return {}
    return {f"{split}/{COMBINED}": sum(scores[name] for name in monitors) / len(monitors)}
