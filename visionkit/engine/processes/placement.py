"""Say how many processes train together, and tell the trainer of each where its launcher has put it."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from visionkit.engine.processes.sharding import Sharded
from visionkit.errors import ConfigError


class Size(NamedTuple):
    """How many processes a trainer node asks for."""

    nodes: int
    """Machines."""
    each: int
    """Processes on each of them."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.nodes * self.each


def asked(trainer: dict[str, Any]) -> Size:
    """Return what a trainer node asks for; `devices=auto` is one process a GPU of this machine, else one."""
    devices = trainer.get("devices", 1)
    if devices == "auto":
        devices = torch.cuda.device_count() if on_gpus(trainer) else 1
    return Size(trainer.get("num_nodes", 1), int(devices))


def on_gpus(trainer: dict[str, Any]) -> bool:
    """Return whether a trainer node trains on this machine's GPUs."""
    return trainer.get("accelerator") != "cpu" and torch.cuda.is_available()


def started() -> Size:
    """Return as how many processes a launcher has started this training: torchrun, or whoever sets what it sets."""
    each = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return Size(int(os.environ.get("WORLD_SIZE", "1")) // each, each)


def rank() -> int:
    """Return the number of this process among all of them."""
    return int(os.environ.get("RANK", "0"))


def arguments(trainer: dict[str, Any], size: Size) -> dict[str, Any]:
    """Return a trainer node as Lightning takes it, for so many processes, whatever the node says of their number.

    Several processes share their batch statistics on GPUs; on a CPU no layer can. Raises ConfigError when the node
    wants it nevertheless.
    """
    node = {**trainer, "devices": size.each, "num_nodes": size.nodes}
    strategy = node.pop("strategy", None) or "ddp"
    synchronised = node.pop("sync_batchnorm", None)
    if synchronised and not on_gpus(trainer):
        raise ConfigError(
            "trainer.sync_batchnorm=true: batch statistics over several processes need GPUs; leave it out (on where "
            "it can be), or choose a network without them, such as backbone=convnet backbone.norm=group"
        )
    if size.total == 1:
        return node
    synchronised = on_gpus(trainer) if synchronised is None else synchronised
    if strategy == "fsdp":  # Lightning's own strategy of that name needs GPUs, and keeps no file that others read
        return {**node, "strategy": Sharded(size.total, synchronised=synchronised)}
    return {**node, "strategy": strategy, "sync_batchnorm": synchronised}


def placed(trainer: dict[str, Any]) -> dict[str, Any]:
    """Return a trainer node as Lightning takes it in this process.

    Lightning is told of the launcher rather than left to guess it: on SLURM it would requeue the job by itself.
    """
    launched = "RANK" in os.environ
    environment = TorchElasticEnvironment() if launched else LightningEnvironment()
    plugins = [environment, *(trainer.get("plugins") or [])]
    return {**arguments(trainer, started()), "plugins": plugins}
