"""A backbone of someone else's: one class, without batch statistics."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from visionkit.models.contracts import Backbone
from visionkit.types import Level


class PlainBackbone(Backbone):
    """Three convolutions of strides 2, 4 and 8."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = (Level(8, 2), Level(16, 4), Level(32, 8))
        widths = [3, *(level.channels for level in self.levels)]
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the three maps."""
        maps = []
        for stage in self.stages:
            images = stage(images).relu()
            maps.append(images)
        return maps
