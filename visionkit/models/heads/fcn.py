"""Segment images by scores from several levels, summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.models.contracts import Head
from visionkit.models.heads.outputs import MaskOutputs
from visionkit.types import Level, MaskScores, Targets


class FCNHead(Head):
    """Class scores by a 1x1 convolution on each level from `min_stride` (pixels) on, summed coarse to fine.

    Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation (2015), section 4.2, with fixed
    bilinear enlargement in place of a learned one; `min_stride=8` is FCN-8s. Raises ValueError when no level is that
    coarse.
    """

    kind: ClassVar[str] = "mask"

    def __init__(self, min_stride: int, loss: Loss, *, levels: Sequence[Level], num_classes: int) -> None:
        super().__init__()
        self.used = tuple(index for index, level in enumerate(levels) if level.stride >= min_stride)
        if not self.used:
            strides = [level.stride for level in levels]
            raise ValueError(f"no level has a stride of min_stride={min_stride} or more; they have {strides}")
        self.scores = nn.ModuleList(nn.Conv2d(levels[index].channels, num_classes, 1) for index in self.used)
        self.criterion = loss

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> MaskOutputs:
        """Return logits at the image's size."""
        fine_to_coarse = [conv(features[index]) for conv, index in zip(self.scores, self.used, strict=True)]
        total = fine_to_coarse.pop()
        for scores in reversed(fine_to_coarse):
            total = scores + F.interpolate(total, size=scores.shape[-2:], mode="bilinear")
        return MaskOutputs(F.interpolate(total, size=image_size, mode="bilinear"))

    def loss(self, outputs: MaskOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss."""
        return self.criterion(outputs.logits, targets)

    def decode(self, outputs: MaskOutputs) -> MaskScores:
        """Return the logits in float32."""
        return MaskScores(outputs.logits.float())
