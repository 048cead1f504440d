"""Hold the backbone of the linear controls: plain pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

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
