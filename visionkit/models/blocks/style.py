"""Make the layers that all blocks of one network share: convolutions with their norm and activation, and pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import gcd
from typing import Final

from torch import nn

from visionkit.suggest import did_you_mean

ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, 0.1, inplace=True),
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}
NORMS: Final = ("batch", "group", "none")
POOLINGS: Final = ("max", "average", "convolution")
PADDINGS: Final = ("same", "published")


@dataclass(frozen=True)
class Style:
    """What a whole network has in common.

    `activation`: relu, leaky_relu (slope 0.1), silu, gelu or tanh. `norm`: batch (Ioffe, Szegedy 2015), group (Wu, He:
    Group Normalization, 2018, in groups of 16 channels or, where that does not divide them, of their greatest common
    divisor with 16), or none; a convolution has a bias where none follows. `norm_eps` is added to the variance.
    `pooling`: how maps shrink where no block strides a convolution of its own: max, average (over what lies inside the
    map), or convolution (3x3 and strided; Springenberg et al.: Striving for Simplicity, 2015, section 2). `padding`:
    under `same` every layer of stride s makes ceil(n / s) cells of n; under `published` pools do what their authors'
    did.

    Raises ValueError for an unknown name.
    """

    activation: str = "relu"
    norm: str = "batch"
    norm_eps: float = 1e-5
    pooling: str = "max"
    padding: str = "same"

    def __post_init__(self) -> None:
        for name, known in (
            ("activation", ACTIVATIONS),
            ("norm", NORMS),
            ("pooling", POOLINGS),
            ("padding", PADDINGS),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name}={value!r} is unknown; {did_you_mean(str(value), known)}")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps={self.norm_eps}; it has to be above 0")

    def conv(
        self, in_channels: int, channels: int, kernel: int, stride: int = 1, *, groups: int = 1, activate: bool = True
    ) -> nn.Sequential:
        """Return convolution, norm and, if asked for, activation; an odd `kernel` rounds sizes up."""
        bare = self.norm == "none"
        convolution = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, groups=groups, bias=bare)
        layers: list[nn.Module] = [convolution]
        if self.norm == "batch":
            layers.append(nn.BatchNorm2d(channels, self.norm_eps))
        elif self.norm == "group":
            layers.append(nn.GroupNorm(channels // gcd(channels, 16), channels, self.norm_eps))
        return nn.Sequential(*layers, self.act()) if activate else nn.Sequential(*layers)

    def act(self) -> nn.Module:
        """Return the activation."""
        return ACTIVATIONS[self.activation]()

    def pool(self, channels: int, window: int, stride: int, *, padding: int = 0, ceil: bool = False) -> nn.Module:
        """Return what makes a map `stride` times smaller, over windows of `window` x `window` cells.

        `padding` (cells) and `ceil` (whether sizes are rounded up) are the published ones. Under `same` the window is
        an odd one, padded by half: one of 2x2 that rounds up could not be exported for any image size.
        """
        if self.pooling == "convolution":
            return self.conv(channels, channels, 3, stride)
        if self.padding == "same":
            window, padding, ceil = window // 2 * 2 + 1, window // 2, False
        if self.pooling == "average":
            return nn.AvgPool2d(window, stride, padding, ceil, count_include_pad=False)
        return nn.MaxPool2d(window, stride, padding, ceil_mode=ceil)


def conv_bn(in_channels: int, channels: int, kernel: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """Return convolution, batch normalisation and, if asked for, ReLU; an odd `kernel` rounds sizes up."""
    return Style().conv(in_channels, channels, kernel, stride, activate=relu)
