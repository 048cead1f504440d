"""Keep a part of the backbone as it is: for a whole training, or for its first epochs."""

from __future__ import annotations

import logging
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
    """Names below the backbone of what stays as it is."""

    parameters: frozenset[str]
    norms: frozenset[str]
    """Modules of batch normalisation."""


def choose(settings: Mapping[str, Any], backbone: Backbone) -> Part:
    """Return what the `freeze` of a train config means for a backbone. Raises ConfigError when it has no such stage."""
    stages, norms = settings["stages"], _norms(backbone)
    parameters = [name for name, _ in backbone.named_parameters()]
    of_norms = {name for name in parameters if name.rpartition(".")[0] in norms}
    if stages == "all":
        return Part(frozenset(parameters), frozenset(norms))
    count = len(backbone.levels)
    if stages > count:
        raise ConfigError(f"freeze.stages={stages} but the backbone has {count} levels; give 0 to {count}, or all")
    frozen, quiet = set(), set()
    if stages:
        try:
            frozen = {name for name in parameters if backbone.level_of(name) < stages}
            quiet = {name for name in norms if backbone.level_of(_a_tensor(name, backbone)) < stages}
        except (NotImplementedError, ValueError) as error:
            why = str(error) or f"{type(backbone).__name__} does not say which stage its layers are of"
            raise ConfigError(f"freeze.stages={stages}: {why}; only freeze.stages=all works with it") from None
    if settings["norm"]:
        frozen, quiet = frozen | of_norms, set(norms)
    return Part(frozenset(frozen), frozenset(quiet))


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

    def __init__(self, part: Part, settings: Mapping[str, Any]) -> None:
        self._part = part
        self._until: int | None = settings["until_epoch"]

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Take the parameters out of the training, before an optimizer asks for them."""
        if stage != "fit" or not (self._part.parameters or self._part.norms):
            return
        parameters = dict(_backbone(pl_module).named_parameters())
        if self._until is None:
            for name in self._part.parameters:
                parameters[name].requires_grad_(False)
        if trainer.is_global_zero:
            log.info(
                "freeze: %d of the backbone's %d parameter tensors stay as they are, %d batch normalisations use their "
                "statistics%s",
                len(self._part.parameters), len(parameters), len(self._part.norms),
                "" if self._until is None else f", until epoch {self._until}",
            )  # fmt: skip

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the modes of the batch normalisations: at each batch, as whatever ran between may have changed them."""
        body, learning = _backbone(pl_module), not self._holds(trainer)
        for name in self._part.norms:
            body.get_submodule(name).train(learning)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Drop the gradients of what is frozen for now; clipping comes after."""
        if self._until is not None and self._holds(trainer):
            for name, parameter in _backbone(pl_module).named_parameters():
                if name in self._part.parameters:
                    parameter.grad = None

    def _holds(self, trainer: L.Trainer) -> bool:
        return self._until is None or trainer.current_epoch < self._until


def _backbone(module: L.LightningModule) -> nn.Module:
    return module.get_submodule("network.backbone")
