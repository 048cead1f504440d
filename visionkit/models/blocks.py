"""Build the three classic convolutional blocks: plain (VGG), residual (ResNet) and inception (GoogLeNet).

Every block is made as `Block(in_channels, channels, stride)` and turns a map of n cells a side into one
of ceil(n / stride), whatever n is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn(in_channels: int, channels: int, kernel: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """Return convolution, batch normalisation and, if asked for, ReLU; an odd `kernel` rounds sizes up."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def init_convolutions(module: nn.Module) -> None:
    """Draw the weights of every convolution inside `module` for ReLU networks and clear its biases.

    He, Zhang, Ren, Sun: Delving Deep into Rectifiers (2015), section 2.2; fan-out, normal.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)


def _pool(stride: int) -> nn.Module:
    # An odd window, padded: one of 2x2 that rounds up could not be exported for any image size.
    return nn.MaxPool2d(stride // 2 * 2 + 1, stride, stride // 2) if stride > 1 else nn.Identity()


class Plain(nn.Sequential):
    """A 3x3 convolution with batch normalisation and ReLU; a stride is a max pool before it.

    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition (2015), section 2.1;
    batch normalisation (Ioffe, Szegedy 2015) came after the paper. Its pools are 2x2 and end a stage; here they are 3x3
    (at stride 2) and begin the next.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(_pool(stride), conv_bn(in_channels, channels, 3))


class Residual(nn.Module):
    """Two 3x3 convolutions around an identity, or around a 1x1 projection where the shape changes.

    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2016), section 3.3 and option B.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn(in_channels, channels, 3, stride)
        self.second = conv_bn(channels, channels, 3, relu=False)
        same = in_channels == channels and stride == 1
        self.shortcut = nn.Identity() if same else conv_bn(in_channels, channels, 1, stride, relu=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return relu(F(x) + shortcut(x))."""
        residual = self.second(self.first(features))
        return torch.relu(residual + self.shortcut(features))


class Inception(nn.Module):
    """Four branches side by side: 1x1, 1x1 then 3x3, 1x1 then 5x5, pool then 1x1; a stride is a max pool before them.

    Szegedy et al.: Going Deeper with Convolutions (2015), section 4 and figure 2b, with batch normalisation.
    Widths are those of the paper's module 3a as shares of `channels`: 1/4, 1/2, 1/8, 1/8, reductions 3/8 and 1/16.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        if channels % 16:
            raise ValueError(f"an inception block splits its channels in sixteenths; {channels} is no multiple of 16")
        super().__init__()
        part = channels // 16
        self.pool = _pool(stride)
        self.branches = nn.ModuleList(
            [
                conv_bn(in_channels, 4 * part, 1),
                nn.Sequential(conv_bn(in_channels, 6 * part, 1), conv_bn(6 * part, 8 * part, 3)),
                nn.Sequential(conv_bn(in_channels, part, 1), conv_bn(part, 2 * part, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(in_channels, 2 * part, 1)),
            ]
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the branches' maps, concatenated."""
        pooled = self.pool(features)
        return torch.cat([branch(pooled) for branch in self.branches], dim=1)
