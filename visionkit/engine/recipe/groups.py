"""Sort the parameters of a training into groups, by weight decay and learning rate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from torch import nn

from visionkit.errors import ConfigError
from visionkit.models.contracts import Backbone
from visionkit.models.network import Network

log = logging.getLogger("visionkit")

_NORMS = (nn.LayerNorm, nn.RMSNorm)
"""Normalisations whose factors may have more than one dimension."""


def groups(module: nn.Module, network: Network, layer_decay: float) -> list[dict[str, Any]]:
    """Return the groups of all parameters of a module that learn, each with its `name` and its `factor` of the rate.

    Weights of convolutions, linear layers and the like decay. Biases, the parameters of normalisations, scales, tables
    and whatever else is not called `weight` or has one dimension do not, nor does any parameter outside the network.

    The rate of the backbone's level i of n is multiplied by `layer_decay ** (n - i)`, levels counted from the finest,
    0, on: the coarsest learns one factor slower than necks and heads, which keep the full rate, and the stem as slowly
    as the finest. After Clark et al., "ELECTRA" (2020), and Bao et al., "BEiT" (2022), who count layers.
    """
    factors = factors_of(network.backbone, layer_decay)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    decaying = {id(parameter) for parameter in _decaying(network)}
    found: dict[str, dict[str, Any]] = {}
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        part, factor = factors.get(names.get(id(parameter), ""), (_REST if factors else "all", 1.0))
        given: dict[str, Any] = {"name": part, "factor": factor, "params": []}
        if id(parameter) not in decaying:
            given |= {"name": f"{part}, no decay", "weight_decay": 0.0}
        found.setdefault(given["name"], given)["params"].append(parameter)
    return sorted(found.values(), key=lambda group: "weight_decay" in group)


_REST = "all else"


def factors_of(backbone: Backbone, layer_decay: float) -> dict[str, tuple[str, float]]:
    """Return, for each parameter of a backbone by its name in the network, its level and its factor of the rate.

    Empty for a decay of 1. Raises ConfigError for a backbone that does not say which level needs which layer.
    """
    if layer_decay == 1:
        return {}
    count = len(backbone.levels)
    try:
        levels = {name: backbone.level_of(name) for name, _ in backbone.named_parameters()}
    except (NotImplementedError, ValueError) as error:
        why = str(error) or f"{type(backbone).__name__} does not say which level its layers are of"
        raise ConfigError(f"layer_decay={layer_decay}: {why}; only layer_decay=1 works with it") from None
    return {f"backbone.{name}": (f"level {level}", layer_decay ** (count - level)) for name, level in levels.items()}


def _decaying(network: nn.Module) -> Iterator[nn.Parameter]:
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name.endswith("weight") and parameter.ndim > 1 and not isinstance(module, _NORMS):
                yield parameter


def tell(found: list[dict[str, Any]]) -> None:
    """Log the factors, where there are several."""
    factors = {group["name"].partition(",")[0]: group["factor"] for group in found}
    if len(factors) > 1:
        said = [f"{name} {factor:.3g}" for name, factor in sorted(factors.items(), key=lambda item: item[1])]
        log.info("layer_decay: of the learning rate, %s", ", ".join(said))
