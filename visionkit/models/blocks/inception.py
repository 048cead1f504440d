"""Build the inception block (GoogLeNet): convolutions of several sizes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from visionkit.models.blocks.style import Style

_STYLE: Final = Style()

Branches = Sequence[Sequence[int]]
"""Widths of the four branches: [[1x1], [1x1, 3x3], [1x1, 5x5], [1x1 behind the pool]]."""


class Inception(nn.Module):
    """Four branches side by side: 1x1, 1x1 then 3x3, 1x1 then 5x5, 3x3 max pool then 1x1; a stride is a pool before.

    Szegedy et al.: Going Deeper with Convolutions (2015), section 4 and figure 2b. `kernel` is that of the third
    branch: 5 in the paper, 3 in torchvision's GoogLeNet. Without `branches` the widths are those of the paper's module
    3a as shares of `channels`: 1/4, 1/2, 1/8, 1/8, reductions 3/8 and 1/16; with them `channels` is their sum. The
    published pool between stages is 3x3 (at stride 2), without padding, and rounds up.

    Raises ValueError for channels that cannot be split.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        style: Style = _STYLE,
        *,
        kernel: int = 5,
        branches: Branches | None = None,
    ) -> None:
        super().__init__()
        (one,), (reduce_three, three), (reduce_wide, wide), (pooled,) = branches or _shares(channels)
        if one + three + wide + pooled != channels:
            raise ValueError(f"the branches have {one + three + wide + pooled} channels together, not {channels}")
        window = stride // 2 * 2 + 1
        self.pool = style.pool(in_channels, window, stride, ceil=True) if stride > 1 else nn.Identity()
        self.branches = nn.ModuleList(
            [
                style.conv(in_channels, one, 1),
                nn.Sequential(style.conv(in_channels, reduce_three, 1), style.conv(reduce_three, three, 3)),
                nn.Sequential(style.conv(in_channels, reduce_wide, 1), style.conv(reduce_wide, wide, kernel)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), style.conv(in_channels, pooled, 1)),
            ]
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the branches' maps, concatenated."""
        pooled = self.pool(features)
        return torch.cat([branch(pooled) for branch in self.branches], dim=1)


def _shares(channels: int) -> Branches:
    if channels % 16:
        raise ValueError(
            f"channels={channels} is no multiple of 16; an inception block splits them in sixteenths unless it has "
            "`branches`"
        )
    part = channels // 16
    return [[4 * part], [6 * part, 8 * part], [part, 2 * part], [2 * part]]
