"""Classify images by a linear layer on the pooled coarsest map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.models.contracts import Head
from visionkit.models.heads.outputs import LabelOutputs
from visionkit.types import ClassScores, Level, Targets


class LinearHead(Head):
    """Global average pooling, dropout and a linear layer.

    Lin, Chen, Yan: Network in Network (2014), section 3.2, as ResNet and GoogLeNet use it. `dropout` is the share (0
    to 1) of features that training leaves out.
    """

    kind: ClassVar[str] = "labels"

    def __init__(self, dropout: float, loss: Loss, *, levels: Sequence[Level], num_classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(levels[-1].channels, num_classes)
        self.criterion = loss

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> LabelOutputs:
        """Return logits."""
        return LabelOutputs(self.classifier(self.dropout(features[-1].mean(dim=(2, 3)))))

    def loss(self, outputs: LabelOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss."""
        return self.criterion(outputs.logits, targets)

    def decode(self, outputs: LabelOutputs) -> ClassScores:
        """Return softmax probabilities."""
        return ClassScores(outputs.logits.float().softmax(dim=-1))
