"""Build the blocks that are one path of layers: plain (VGG) and separable (MobileNet).

Every block of this package is made as `Block(in_channels, channels, stride)` and turns a map of n cells a side into
one of ceil(n / stride), whatever n is; under `padding=published` its pool may round otherwise.
"""

from __future__ import annotations

from torch import nn

from visionkit.models.blocks.style import Style

_STYLE = Style()


class Plain(nn.Sequential):
    """A convolution with norm and activation; a stride is a pool before it, in the published VGG of stride x stride.

    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition (2015), section 2.1.
    Its pools end a stage; here they begin the next, and under `padding=same` they are 3x3 (at stride 2).
    """

    def __init__(self, in_channels: int, channels: int, stride: int, style: Style = _STYLE, *, kernel: int = 3) -> None:
        pool = style.pool(in_channels, stride, stride) if stride > 1 else nn.Identity()
        super().__init__(pool, style.conv(in_channels, channels, kernel))


class Separable(nn.Sequential):
    """A convolution of each channel by itself, which takes the stride, then a 1x1 convolution that mixes them.

    Howard et al.: MobileNets (2017), section 3.1 and figure 3.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, style: Style = _STYLE, *, kernel: int = 3) -> None:
        super().__init__(
            style.conv(in_channels, in_channels, kernel, stride, groups=in_channels),
            style.conv(in_channels, channels, 1),
        )
