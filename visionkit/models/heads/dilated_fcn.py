"""Segment images by two convolutions on the coarsest map of a dilated backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.models.blocks import init_convolutions
from visionkit.models.contracts import Head
from visionkit.models.heads.outputs import MaskOutputs
from visionkit.types import Level, MaskScores, Targets


class DilatedFCNHead(Head):
    """A 3x3 convolution to a quarter of the channels with batch normalisation and ReLU, dropout, then class scores.

    It reads the coarsest level alone and enlarges its scores to the image, so it wants a backbone whose last stages
    dilate in place of striding (Chen et al.: DeepLab, 2016, section 3.1), of stride 8. torchvision's `fcn_resnet50` is
    this head on such a ResNet; Long, Shelhamer, Darrell: Fully Convolutional Networks (2015) has no such hidden layer.
    `dropout` is the share of channels' features that training leaves out, 0 to 1.
    """

    kind: ClassVar[str] = "mask"

    def __init__(self, dropout: float, loss: Loss, *, levels: Sequence[Level], num_classes: int) -> None:
        super().__init__()
        channels = levels[-1].channels
        self.coarsest = len(levels) - 1
        self.hidden = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 3, padding=1, bias=False), nn.BatchNorm2d(channels // 4), nn.ReLU()
        )
        self.dropout = nn.Dropout(dropout)
        self.scores = nn.Conv2d(channels // 4, num_classes, 1)
        self.criterion = loss
        init_convolutions(self)

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> MaskOutputs:
        """Return logits at the image's size."""
        scores = self.scores(self.dropout(self.hidden(features[self.coarsest])))
        return MaskOutputs(F.interpolate(scores, size=image_size, mode="bilinear"))

    def loss(self, outputs: MaskOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss."""
        return self.criterion(outputs.logits, targets)

    def decode(self, outputs: MaskOutputs) -> MaskScores:
        """Return the logits in float32."""
        return MaskScores(outputs.logits.float())
