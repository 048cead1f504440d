"""Keep and restore what a training's state consists of beside that which Lightning's checkpoints hold."""

from __future__ import annotations

import logging
import random
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import distributed

from visionkit.data.loader import ResumableLoader
from visionkit.engine.csv_logger import CSVLogger
from visionkit.errors import ConfigError

log = logging.getLogger("visionkit")

_KEY = "run_state"


class RunState(L.Callback):
    """Puts into a checkpoint, and back, what else decides how a training goes on; all of it plain data.

    That is the loader's position, the metrics that callbacks look at, and the random streams of each process, which are
    restored at the first batch, when nothing else can draw of them. It has to be the first of the callbacks.
    """

    def __init__(self) -> None:
        self._found: dict[str, Any] | None = None
        self._streams: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the state; every process takes part."""
        streams: list[Any] = [random_state(trainer.strategy.root_device)]
        if trainer.world_size > 1:
            own, streams = streams[0], [None] * trainer.world_size
            distributed.all_gather_object(streams, own)
        checkpoint[_KEY] = {
            "loader": loader.state_dict() if isinstance(loader := trainer.train_dataloader, ResumableLoader) else None,
            "metrics": {name: value.detach().cpu().clone() for name, value in trainer.callback_metrics.items()},
            "random": streams,
        }

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the state, and wait until it can be used. Raises ConfigError for a run that is to become shorter."""
        done, limit = checkpoint["epoch"], trainer.max_epochs
        if limit is not None and -1 < limit < done:
            raise ConfigError(f"epochs={limit} but the run has trained for {done} epochs already; give {done} or more")
        self._found = checkpoint[_KEY]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Cut the curves, set the loader, before it gives its first batch, and the metrics."""
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.cut(trainer.global_step)
        if trainer.global_rank:  # else every process would drop out the same features
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)
        if self._found is None:
            return
        log.info("going on in epoch %d behind step %d", trainer.current_epoch + 1, trainer.global_step)
        if isinstance(loader := trainer.train_dataloader, ResumableLoader):
            # Lightning does so only when nobody has asked for the number of batches by then, as the clock has.
            loader.load_state_dict(self._found["loader"])
        trainer.callback_metrics.update(self._found["metrics"])
        if len(self._found["random"]) == trainer.world_size:  # with another number, the seeds are those of a new run
            self._streams = self._found["random"][trainer.global_rank]
        self._found = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the random streams at the first batch."""
        if self._streams is not None:
            set_random_state(self._streams, trainer.strategy.root_device)
            self._streams = None


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the states of all random streams of this process as plain data."""
    drawn: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002  the stream that libraries draw from
    return {
        "python": random.getstate(),
        "numpy": {**drawn, "state": {"key": drawn["state"]["key"].tolist(), "pos": drawn["state"]["pos"]}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Set all random streams of this process."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
