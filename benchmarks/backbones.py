"""Hold the backbones of the controls: plain pixels, and a network that never learns."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.backbones.description import Description
from visionkit.models.contracts import Backbone
from visionkit.types import Level


class Pixels(Backbone):
    """Hands on the `window` x `window` pixels around each cell of `stride` pixels as that cell's channels.

    There is nothing to learn and nothing that is not linear, so a head of one convolution on top is a linear model of
    the pixels. Values are divided by `window`: the scale of a cell's vector, and with it the fitting learning rate,
    does not depend on the window. `stride` = `window` = the image's side is the whole image in one cell.

    Raises ValueError for a window that does not lie symmetrically around a cell.
    """

    def __init__(self, stride: int, window: int) -> None:
        super().__init__()
        if stride < 1 or window < stride or (window - stride) % 2:
            raise ValueError(f"window={window} has to be stride={stride} plus an even number of pixels, or the same")
        self.stride = stride
        self.window = window
        self.levels = (Level(3 * window * window, stride),)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the one map; what lies outside the image is 0, the mean."""
        height, width = (-(-side // self.stride) for side in images.shape[-2:])
        margin = (self.window - self.stride) // 2
        below = height * self.stride - images.shape[-2] + margin
        right = width * self.stride - images.shape[-1] + margin
        padded = F.pad(images, (margin, right, margin, below))
        columns = F.unfold(padded, self.window, stride=self.stride)
        return [columns.view(len(images), -1, height, width) / self.window]


class FrozenConvNet(ConvNet):
    """A ConvNet that keeps its random weights: no parameter learns, and batch normalisation gathers nothing."""

    def __init__(
        self,
        stem: Description,
        stages: Description,
        in_channels: int = 3,
        activation: str = "relu",
        pooling: str = "max",
        norm: str = "batch",
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        padding: str | None = None,
    ) -> None:
        super().__init__(
            stem, stages, in_channels, activation, pooling, norm, norm_eps, dropout, stochastic_depth, padding
        )
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenConvNet:
        """Stay in evaluation mode."""
        super().train(False)
        return self
