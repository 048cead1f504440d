"""Build a feature pyramid: every level as wide as the next and informed by the coarser ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.models.blocks import init_convolutions
from visionkit.models.contracts import Neck
from visionkit.types import Level


class FPN(Neck):
    """Top-down pyramid over the levels whose stride is at least `min_stride` (pixels).

    It puts out `num_levels` maps of `channels` each, from `min_stride` on; where the backbone has fewer, convolutions
    of stride 2 continue it, with ReLU between them. Coarser backbone levels than that many still feed the sum from
    above. Lin et al.: Feature Pyramid Networks for Object Detection (2017), section 3; the additional levels are
    those of RetinaNet (Lin et al. 2017) taken from the pyramid's own coarsest map, as in FCOS (Tian et al. 2019).

    Raises ValueError when no level is coarse enough.
    """

    def __init__(self, channels: int, min_stride: int, num_levels: int, *, levels: Sequence[Level]) -> None:
        super().__init__()
        if channels < 1 or num_levels < 1:
            raise ValueError(f"channels={channels}, num_levels={num_levels}; both have to be at least 1")
        self.used = tuple(index for index, level in enumerate(levels) if level.stride >= min_stride)
        if not self.used:
            strides = [level.stride for level in levels]
            raise ValueError(f"no level has a stride of min_stride={min_stride} or more; they have {strides}")
        used = [levels[index] for index in self.used]
        smoothed = used[:num_levels]
        extra = num_levels - len(smoothed)
        self.lateral = nn.ModuleList(nn.Conv2d(level.channels, channels, 1) for level in used)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in smoothed)
        self.extra = nn.ModuleList(nn.Conv2d(channels, channels, 3, 2, padding=1) for _ in range(extra))
        strides = [level.stride for level in smoothed]
        strides += [strides[-1] * 2 ** (step + 1) for step in range(extra)]
        self.levels = tuple(Level(channels, stride) for stride in strides)
        init_convolutions(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return one map for each of its own levels."""
        laterals = [conv(features[index]) for conv, index in zip(self.lateral, self.used, strict=True)]
        sums = [laterals[-1]]
        for lateral in reversed(laterals[:-1]):
            above = F.interpolate(sums[0], size=lateral.shape[-2:], mode="nearest")
            sums.insert(0, lateral + above)
        maps: list[Tensor] = [conv(total) for conv, total in zip(self.smooth, sums, strict=False)]
        for step, conv in enumerate(self.extra):
            maps.append(conv(maps[-1] if step == 0 else maps[-1].relu()))
        return maps
