"""Join a backbone, its necks and its heads to one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from visionkit.models.contracts import Backbone, Head, Neck
from visionkit.suggest import did_you_mean
from visionkit.types import Prediction, Targets


class Network(nn.Module):
    """Normalisation, one backbone and one or more named heads, each behind a neck or straight on the backbone.

    `routes` says for each head which of `necks` it reads, or None for the backbone's own levels; heads that name the
    same neck share it. `mean` and `std` are those of the training images, one number a channel, in shares of 255.

    Raises ValueError for a head without a route, a route to no neck, a neck that no head reads, or an impossible mean
    or std.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        necks: Mapping[str, Neck],
        heads: Mapping[str, Head],
        routes: Mapping[str, str | None],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        if not heads:
            raise ValueError("a network needs at least one head")
        if set(routes) != set(heads):
            raise ValueError(f"routes name the heads {sorted(routes)} but the heads are {sorted(heads)}")
        read = {neck for neck in routes.values() if neck is not None}
        for name in read - set(necks):
            raise ValueError(f"a head reads the neck {name!r}, which is not there; {did_you_mean(name, necks)}")
        for name in set(necks) - read:
            raise ValueError(f"no head reads the neck {name!r}, so that it would never learn; leave it out")
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f"mean={list(mean)}, std={list(std)}; one number a channel, every std above 0")
        self.backbone = backbone
        self.necks = nn.ModuleDict(necks)
        self.heads = nn.ModuleDict(heads)
        self.routes = dict(routes)
        # In the scale of uint8, so that images need no division of their own.
        self.register_buffer("mean", 255 * torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def normalize(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, C, H, W) into float32 with mean 0 and deviation 1; keeps the memory format."""
        mean, std = self.mean, self.std
        if images.is_contiguous(memory_format=torch.channels_last):
            # A row of either, laid out as the images' rows: over single pixels of a few channels torch's loop is slow.
            shape = (1, images.shape[1], 1, images.shape[3])
            mean, std = (each.expand(shape).contiguous(memory_format=torch.channels_last) for each in (mean, std))
        # In place in a copy: fresh memory for each step costs more than the arithmetic.
        return images.to(torch.float32, copy=True).sub_(mean).div_(std)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the backbone's maps of normalised images, fine to coarse, then those of its auxiliary classifiers."""
        return cast(list[Tensor], self.backbone(images))

    def outputs(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> dict[str, Any]:
        """Return every head's outputs from the backbone's maps; `image_size` is (height, width) in pixels."""
        own = features[: len(self.backbone.levels)]
        levels: dict[str | None, Sequence[Tensor]] = {name: neck(own) for name, neck in self.necks.items()}
        outputs = {}
        for name, head in self.heads.items():
            levels[None] = features if cast(Head, head).takes_auxiliary else own
            outputs[name] = head(levels[self.routes[name]], image_size, targets)
        return outputs

    def forward(self, images: Tensor, targets: Targets | None = None) -> dict[str, Any]:
        """Return every head's outputs for uint8 images (B, C, H, W)."""
        height, width = images.shape[-2:]
        return self.outputs(self.features(self.normalize(images)), (height, width), targets)

    def decode(self, outputs: Mapping[str, Any]) -> dict[str, Prediction]:
        """Return every head's prediction."""
        return {name: cast(Head, head).decode(outputs[name]) for name, head in self.heads.items()}
