"""Segment images by a decoder that takes up the backbone's levels one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.models.blocks import conv_bn, init_convolutions
from visionkit.models.contracts import Head
from visionkit.models.heads.outputs import MaskOutputs
from visionkit.types import Level, MaskScores, Targets


class UNetHead(Head):
    """From the coarsest map up: enlarge, join the next finer level, convolve; the finest map gives the scores.

    `channels` are the widths at the levels to be joined, coarse to fine; they are lined up at the finest one, so that
    a list of four also serves a backbone of fewer levels. Ronneberger, Fischer, Brox: U-Net (2015), section 2, with
    padded and batch-normalised convolutions, bilinear enlargement for up-convolution, and scores at the finest
    level's stride, enlarged to the image. Raises ValueError when the backbone has one level only, or more levels than
    widths to join them with.
    """

    kind: ClassVar[str] = "mask"

    def __init__(self, channels: Sequence[int], loss: Loss, *, levels: Sequence[Level], num_classes: int) -> None:
        super().__init__()
        joins = len(levels) - 1
        if not 1 <= joins <= len(channels):
            raise ValueError(
                f"a U-Net over {len(levels)} levels needs {max(joins, 1)} widths or more and two levels at least; "
                f"channels={list(channels)} has {len(channels)}"
            )
        below = levels[-1].channels
        self.joins = nn.ModuleList()
        for level, width in zip(reversed(levels[:-1]), channels[-joins:], strict=True):
            self.joins.append(nn.Sequential(conv_bn(below + level.channels, width, 3), conv_bn(width, width, 3)))
            below = width
        self.score = nn.Conv2d(below, num_classes, 1)
        init_convolutions(self)
        self.criterion = loss

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> MaskOutputs:
        """Return logits at the image's size."""
        current = features[-1]
        for join, skip in zip(self.joins, reversed(features[:-1]), strict=True):
            enlarged = F.interpolate(current, size=skip.shape[-2:], mode="bilinear")
            current = join(torch.cat([enlarged, skip], dim=1))
        return MaskOutputs(F.interpolate(self.score(current), size=image_size, mode="bilinear"))

    def loss(self, outputs: MaskOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss."""
        return self.criterion(outputs.logits, targets)

    def decode(self, outputs: MaskOutputs) -> MaskScores:
        """Return the logits in float32."""
        return MaskScores(outputs.logits.float())
