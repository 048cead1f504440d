"""Draw the weights that convolutions begin with."""

from __future__ import annotations

from typing import Literal

from torch import nn


def init_convolutions(module: nn.Module, mode: Literal["fan_in", "fan_out"] = "fan_out") -> None:
    """Draw the weights of every convolution inside `module` for ReLU networks and clear its biases.

    He, Zhang, Ren, Sun: Delving Deep into Rectifiers (2015), section 2.2; normal. What normalises after each
    convolution keeps forward signals in scale by itself, and fan-out keeps gradients; without it fan-in does both, in
    parallel branches too. In a grouped convolution an input reaches the outputs of its own group only.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode=mode, nonlinearity="relu")
            if mode == "fan_out" and child.groups > 1:  # PyTorch counts the outputs of all groups
                child.weight.data.mul_(child.groups**0.5)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
