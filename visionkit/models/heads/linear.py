"""Classify images by a linear layer on the pooled coarsest map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.models.contracts import Head
from visionkit.models.heads.outputs import LabelOutputs
from visionkit.types import ClassScores, Level, Targets


class LinearHead(Head):
    """Global average pooling, dropout and a linear layer.

    Lin, Chen, Yan: Network in Network (2014), section 3.2, as ResNet and GoogLeNet use it. `dropout` is the share (0
    to 1) of features that training leaves out. Where the backbone has auxiliary classifiers, training adds
    `auxiliary` times the loss of each (Szegedy et al.: Going Deeper with Convolutions, 2015, section 5); 0 leaves them
    out of the network. Raises ValueError for a negative one.
    """

    kind: ClassVar[str] = "labels"
    takes_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        dropout: float,
        auxiliary: float,
        loss: Loss,
        *,
        levels: Sequence[Level],
        num_classes: int,
        auxiliary_classifiers: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        if auxiliary < 0:
            raise ValueError(f"head.auxiliary={auxiliary}; the weight of a loss is 0 or more")
        self.coarsest = len(levels) - 1
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(levels[-1].channels, num_classes)
        self.auxiliary_classifiers = nn.ModuleList(auxiliary_classifiers if auxiliary else ())
        self.auxiliary = auxiliary
        self.criterion = loss

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> LabelOutputs:
        """Return logits, in training those of the auxiliary classifiers too."""
        logits = self.classifier(self.dropout(features[self.coarsest].mean(dim=(2, 3))))
        if not self.training or not self.auxiliary_classifiers:
            return LabelOutputs(logits, logits.new_zeros(0, *logits.shape))
        maps = features[self.coarsest + 1 :]
        found = [classify(m) for classify, m in zip(self.auxiliary_classifiers, maps, strict=True)]
        return LabelOutputs(logits, torch.stack(found))

    def loss(self, outputs: LabelOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss, those of the auxiliary classifiers weighted and summed by name."""
        terms = self.criterion(outputs.logits, targets)
        for logits in outputs.auxiliary:
            for name, term in self.criterion(logits, targets).items():
                key = f"auxiliary_{name}"
                terms[key] = terms.get(key, 0) + self.auxiliary * term
        return terms

    def decode(self, outputs: LabelOutputs) -> ClassScores:
        """Return softmax probabilities."""
        return ClassScores(outputs.logits.float().softmax(dim=-1))
