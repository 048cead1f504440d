"""Build the auxiliary classifiers of the Inceptions, which train the middle of the network directly.

Names and shapes of their tensors are torchvision's, so that published weights fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.models.blocks import init_convolutions


class _Conv(nn.Module):
    """Convolution, batch normalisation and ReLU, named as torchvision names them."""

    def __init__(self, in_channels: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, features: Tensor) -> Tensor:
        """Return the activations."""
        return torch.relu(self.bn(self.conv(features)))


class GoogLeNetAuxiliary(nn.Module):
    """The classifier on GoogLeNet's modules 4a and 4d; reads maps of any size.

    Szegedy et al.: Going Deeper with Convolutions (2015), section 5; as torchvision has it, with batch normalisation
    and the mean of 4 x 4 windows in place of the paper's 5 x 5 pool of stride 3 (both leave 4 x 4 of 14 x 14).
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = _Conv(in_channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(0.7)
        init_convolutions(self)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, num_classes)."""
        pooled = self.conv(F.adaptive_avg_pool2d(features, 4)).flatten(1)
        logits: Tensor = self.fc2(self.dropout(torch.relu(self.fc1(pooled))))
        return logits


class InceptionV3Auxiliary(nn.Module):
    """The classifier on the last 17 x 17 map of Inception v3.

    Szegedy et al.: Rethinking the Inception Architecture for Computer Vision (2016), section 4 and figure 8. A map
    smaller than the published one is averaged into 5 x 5 cells, which is what the 5 x 5 windows of stride 3 leave of
    17 x 17: the convolution behind them needs as many.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv0 = _Conv(in_channels, 128, 1)
        self.conv1 = _Conv(128, 768, 5)
        self.fc = nn.Linear(768, num_classes)
        init_convolutions(self)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, num_classes)."""
        small = min(features.shape[2:]) < 17
        pooled = F.adaptive_avg_pool2d(features, 5) if small else F.avg_pool2d(features, 5, 3)
        logits: Tensor = self.fc(self.conv1(self.conv0(pooled)).mean(dim=(2, 3)))
        return logits


class Auxiliary(NamedTuple):
    """One auxiliary classifier: the `node` whose map it reads, the map's channels, and how to make it."""

    node: str
    channels: int
    make: Callable[[int, int], nn.Module]


AUXILIARY: Final[Mapping[str, Mapping[str, Auxiliary]]] = {
    "googlenet": {
        "aux1": Auxiliary("inception4a", 512, GoogLeNetAuxiliary),
        "aux2": Auxiliary("inception4d", 528, GoogLeNetAuxiliary),
    },
    "inception_v3": {"AuxLogits": Auxiliary("Mixed_6e", 768, InceptionV3Auxiliary)},
}
"""By torchvision's name of the network, then by the prefix of the classifier's tensors in published weights."""
