"""Keep heads of a network, and the necks that they read, as they are, while others learn beside them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L

from visionkit.errors import ConfigError
from visionkit.models.network import Network
from visionkit.suggest import did_you_mean

log = logging.getLogger("visionkit")


def choose(settings: Mapping[str, Any], network: Network) -> tuple[str, ...]:
    """Return the modules of a network that the `freeze` of a train config keeps, apart from the backbone's.

    Raises ConfigError for a head that is not there, and when nothing is left to learn.
    """
    kept = settings["heads"]
    for name in kept:
        if name not in network.heads:
            raise ConfigError(f"freeze.heads: there is no head {name!r}; {did_you_mean(name, network.heads)}")
    necks = {neck for name in kept if (neck := network.routes[name]) is not None}
    if settings["stages"] == "all" and len(kept) == len(network.heads):
        raise ConfigError(
            f"freeze.heads=[{','.join(kept)}] and freeze.stages=all leave nothing to learn; add a head or leave one out"
        )
    return (*(f"heads.{name}" for name in kept), *(f"necks.{name}" for name in sorted(necks)))


class KeepHeads(L.Callback):
    """Holds modules of the network still for the whole training.

    Their parameters want no gradients, and they work as in evaluation: batch normalisations use their statistics and do
    not learn them.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = tuple(modules)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Take the parameters out of the training, before an optimizer asks for them."""
        if stage != "fit" or not self._modules:
            return
        for name in self._modules:
            pl_module.get_submodule(f"network.{name}").requires_grad_(False)
        if trainer.is_global_zero:
            log.info("freeze: %s stay as they are", ", ".join(self._modules))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the mode: at each batch, as whatever ran between may have changed it."""
        for name in self._modules:
            pl_module.get_submodule(f"network.{name}").eval()
