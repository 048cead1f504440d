"""Keep a part of the backbone as it is: for a whole training, for its first epochs, or level by level for fewer."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import lightning as L
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from visionkit.errors import ConfigError
from visionkit.models.contracts import Backbone

log = logging.getLogger("visionkit")


class Part(NamedTuple):
    """What stays as it is, by its name below the backbone, and the first epoch in which it is free; infinity: never."""

    parameters: Mapping[str, float]
    norms: Mapping[str, float]
    """Modules of batch normalisation."""


def choose(settings: Mapping[str, Any], backbone: Backbone) -> Part:
    """Return what the `freeze` of a train config means for a backbone.

    Of several epochs of `until_epoch` the first frees the coarsest frozen level, the next the one before it, and so on;
    with the first come the batch normalisations of levels that are not frozen otherwise.

    Raises ConfigError when the backbone has no such stages.
    """
    stages, norms = settings["stages"], _norms(backbone)
    count = len(backbone.levels) if stages == "all" else stages
    if count > len(backbone.levels):
        levels = len(backbone.levels)
        raise ConfigError(f"freeze.stages={stages} but the backbone has {levels} levels; give 0 to {levels}, or all")
    free = _free(settings["until_epoch"], stages, count)
    apart = stages not in (0, "all") or len(set(free)) > 1
    level = backbone.level_of if apart else _whichever
    parameters = [name for name, _ in backbone.named_parameters()]
    try:
        frozen = {name: free[level(name)] for name in parameters if level(name) < count}
        quiet = {
            name: free[min(level(_a_tensor(name, backbone)), len(free) - 1)]
            for name in norms
            if settings["norm"] or level(_a_tensor(name, backbone)) < count
        }
    except (NotImplementedError, ValueError) as error:
        key = "stages" if stages != "all" else "until_epoch"
        why = str(error) or f"{type(backbone).__name__} does not say which stage its layers are of"
        works = "freeze.stages=all, with one epoch or none," if stages == "all" else "freeze.stages=all"
        raise ConfigError(f"freeze.{key}={settings[key]}: {why}; only {works} works with it") from None
    if settings["norm"]:
        frozen |= {name: quiet[owner] for name in parameters if (owner := name.rpartition(".")[0]) in quiet}
    return Part(frozen, quiet)


def _free(until: int | list[int] | None, stages: int | str, count: int) -> list[float]:
    """Return the first epoch in which each frozen level is free, fine to coarse; one number at least."""
    if not isinstance(until, list):
        return [math.inf if until is None else until] * max(count, 1)
    if len(until) != count:
        raise ConfigError(
            f"freeze.until_epoch={until} needs an epoch for each of the levels that freeze.stages={stages} freezes, "
            f"{count} in all, the coarsest level's first; or give one for all of them"
        )
    return [float(epoch) for epoch in reversed(until)]


def _whichever(name: str) -> int:
    """Return a level where all levels mean the same."""
    return 0


def _norms(backbone: nn.Module) -> list[str]:
    """Return the batch normalisations that have statistics."""
    return [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    ]


def _a_tensor(norm: str, backbone: nn.Module) -> str:
    return f"{norm}.running_mean" if norm else "running_mean"


class Freeze(L.Callback):
    """Holds a part of the backbone still.

    For the whole training its parameters want no gradients, so that the optimizer never knows them. Until an epoch
    only, they keep wanting them, as several processes agree on what to sum before the first step: each gradient is
    dropped before it is clipped, and an optimizer passes over parameters without one, weight decay included. Batch
    normalisations use their statistics and do not learn them.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._epochs = sorted({int(end) for end in (*part.parameters.values(), *part.norms.values()) if end < math.inf})

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Take the parameters out of the training, before an optimizer asks for them."""
        if stage != "fit" or not (self._part.parameters or self._part.norms):
            return
        parameters = dict(_backbone(pl_module).named_parameters())
        for name, free in self._part.parameters.items():
            if free == math.inf:
                parameters[name].requires_grad_(False)
        if trainer.is_global_zero:
            log.info(
                "freeze: %d of the backbone's %d parameter tensors stay as they are, %d batch normalisations use their "
                "statistics%s",
                len(self._part.parameters), len(parameters), len(self._part.norms),
                f", until epoch {', '.join(map(str, self._epochs))}" if self._epochs else "",
            )  # fmt: skip

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the modes of the batch normalisations: at each batch, as whatever ran between may have changed them."""
        body = _backbone(pl_module)
        for name, free in self._part.norms.items():
            body.get_submodule(name).train(trainer.current_epoch >= free)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Drop the gradients of what is frozen for now; clipping comes after."""
        if not self._epochs or trainer.current_epoch >= self._epochs[-1]:
            return
        for name, parameter in _backbone(pl_module).named_parameters():
            if trainer.current_epoch < self._part.parameters.get(name, 0):
                parameter.grad = None


def _backbone(module: L.LightningModule) -> nn.Module:
    return module.get_submodule("network.backbone")
