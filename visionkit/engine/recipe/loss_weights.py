"""Add up the losses of several heads: with weights that are given, or with weights that are learned."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from visionkit.ops.ranks import total


class FixedWeights(nn.Module):
    """Multiplies each head's loss by a number of its own."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)

    def forward(self, losses: Mapping[str, Tensor], labelled: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the heads' losses."""
        return torch.stack([loss * self.weights[name] for name, loss in losses.items()]).sum()


class LearnedWeights(nn.Module):
    """Learns how uncertain each head is, and weighs its loss by that.

    With s the logarithm of a head's variance, its share is exp(-s) loss + s / 2: Kendall, Gal, Cipolla: Multi-Task
    Learning Using Uncertainty to Weigh Losses (2018), equation 10, whose form for classification is taken for every
    head, as each holds a likelihood of classes. All begin with s = 0, the weight 1. Departing from the paper, s / 2 is
    left out for a head of which no sample of the batch, on any rank, carries labels: nothing would hold it then.
    """

    def __init__(self, heads: Mapping[str, float]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in heads})

    def forward(self, losses: Mapping[str, Tensor], labelled: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the heads' shares; `labelled` (B,) bool says of each head which samples teach it."""
        shares = []
        for name, loss in losses.items():
            log_variance = self.log_variance[name]
            some = total(labelled[name].sum()).clamp(max=1)
            shares.append((-log_variance).exp() * loss + some * log_variance / 2)
        return torch.stack(shares).sum()

    @property
    def weights(self) -> dict[str, float]:
        """What each head's loss is multiplied by now."""
        return {name: float((-value.detach()).exp()) for name, value in self.log_variance.items()}


LOSS_WEIGHTS: dict[str, type[FixedWeights] | type[LearnedWeights]] = {"fixed": FixedWeights, "learned": LearnedWeights}
"""By the value of `task.loss_weights`."""
