"""Build the blocks that add to what they are given: residual and bottleneck (ResNet)."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from visionkit.models.blocks.style import Style

_STYLE: Final = Style()
EXPANSION: Final = 4
"""How many times wider than its 3x3 convolution a bottleneck is."""


class Residual(nn.Module):
    """Two convolutions around an identity, or around a 1x1 projection where the shape changes.

    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2016), section 3.3 and option B. In training the
    convolutions are left out of an image's path with the probability `drop` (Huang et al.: Deep Networks with
    Stochastic Depth, 2016), and count the more where they are kept.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        style: Style = _STYLE,
        *,
        kernel: int = 3,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.first = style.conv(in_channels, channels, kernel, stride)
        self.second = style.conv(channels, channels, kernel, activate=False)
        self.shortcut = _shortcut(in_channels, channels, stride, style)
        self.drop = StochasticDepth(drop, "row")
        self.act = style.act()

    def forward(self, features: Tensor) -> Tensor:
        """Return act(F(x) + shortcut(x))."""
        residual = self.drop(self.second(self.first(features)))
        out: Tensor = self.act(residual + self.shortcut(features))
        return out

    def damp(self, factor: float) -> None:
        """Multiply what the convolutions add at first."""
        next(self.second.parameters()).data.mul_(factor)


class Bottleneck(nn.Module):
    """1x1 to a quarter of `channels`, 3x3, 1x1 back, around an identity or a projection; the 3x3 takes the stride.

    He et al. (2016), section 4, figure 5; the paper strides the first 1x1, which skips three of four cells. `drop` as
    in `Residual`. Raises ValueError for channels that are no multiple of 4.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        style: Style = _STYLE,
        *,
        kernel: int = 3,
        drop: float = 0.0,
    ) -> None:
        if channels % EXPANSION:
            raise ValueError(f"channels={channels} is no multiple of {EXPANSION}, which a bottleneck block needs")
        super().__init__()
        narrow = channels // EXPANSION
        self.first = style.conv(in_channels, narrow, 1)
        self.second = style.conv(narrow, narrow, kernel, stride)
        self.third = style.conv(narrow, channels, 1, activate=False)
        self.shortcut = _shortcut(in_channels, channels, stride, style)
        self.drop = StochasticDepth(drop, "row")
        self.act = style.act()

    def forward(self, features: Tensor) -> Tensor:
        """Return act(F(x) + shortcut(x))."""
        residual = self.drop(self.third(self.second(self.first(features))))
        out: Tensor = self.act(residual + self.shortcut(features))
        return out

    def damp(self, factor: float) -> None:
        """Multiply what the convolutions add at first."""
        next(self.third.parameters()).data.mul_(factor)


def _shortcut(in_channels: int, channels: int, stride: int, style: Style) -> nn.Module:
    if in_channels == channels and stride == 1:
        return nn.Identity()
    return style.conv(in_channels, channels, 1, stride, activate=False)
