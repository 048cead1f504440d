"""Try whether an optimizer can train a network at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visionkit.engine import build
from visionkit.errors import ConfigError


def check(node: Mapping[str, Any]) -> None:
    """Take one step of an optimizer's node on two groups of tiny parameters, such as a training has.

    Raises ConfigError for a wrong value, and for an optimizer that takes no groups, no parameters of such a shape, no
    such gradients, or wants more of a step than one evaluation, as LBFGS, Muon and SparseAdam do.
    """
    build.build(node, params=[_parameter(2, 2)])  # what is wrong now is a value
    weight, bias = _parameter(2, 2, 1, 1), _parameter(2)
    try:
        build.build(node, params=[{"params": [weight]}, {"params": [bias], "weight_decay": 0.0}]).step()
    except (ConfigError, RuntimeError, TypeError) as error:
        raise ConfigError(
            f"optimizer._target_={node['_target_']} cannot train the weights and biases of a network: "
            f"{str(error).splitlines()[0]}; choose another, such as torch.optim.RMSprop"
        ) from error


def _parameter(*shape: int) -> nn.Parameter:
    parameter = nn.Parameter(torch.ones(shape))
    parameter.grad = torch.ones(shape)
    return parameter
