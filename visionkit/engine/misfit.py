"""Say where a backbone and the size of its images do not fit, by running it on the meta device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.models.contracts import Backbone


def of_backbone(node: Mapping[str, Any], backbone: Backbone, size: tuple[int, int], key: str) -> str:
    """Return what is wrong with a backbone on the meta device, built of `node`, its `padding` decided, else nothing.

    `size` is that of the images in pixels, height and width; `key` is where a person gives it. What the backbone
    raises for images of every size, it raises here.
    """
    channels = node.get("in_channels", 3)
    published = node.get("padding") == "published"
    return _too_small(backbone, channels, size, key, published) or _wrong_levels(backbone, channels, size, published)


def images(channels: int, height: int, width: int) -> Tensor:
    """Return two images without memory; one alone has no batch statistics."""
    return torch.empty(2, channels, height, width, device="meta")


def smallest_side(network: nn.Module, channels: int, stride: int, above: int) -> int | None:
    """Return the side in pixels of the smallest square images that pass through a network on the meta device.

    Tries every 16th side from `stride` on that is larger than `above`; None where no image passes.
    """
    sides = (side for side in range(stride, 20 * stride, 16) if side > above)
    return next((side for side in sides if _passes(network, channels, side, side)), None)


def _passes(network: nn.Module, channels: int, height: int, width: int) -> bool:
    try:
        network(images(channels, height, width))
    except (RuntimeError, ValueError):  # such as a window that is larger than its map
        return False
    return True


def _too_small(backbone: Backbone, channels: int, size: tuple[int, int], key: str, published: bool) -> str:
    """Return what to type when images are smaller than the backbone can take, else nothing."""
    stride = backbone.levels[-1].stride
    if min(size) >= stride and _passes(backbone, channels, *size):
        return ""
    enough = smallest_side(backbone, channels, stride, above=min(size))
    if enough is None:
        backbone(images(channels, *size))  # not a matter of size: what it raises is the problem
    shown = size[0] if size[0] == size[1] else list(size)
    padded = published and min(size) >= stride
    return (
        f"{key}={shown} is too small for this backbone, whose coarsest map has a cell every "
        f"{stride} pixels; give {key}={enough} or more{' or backbone.padding=same' if padded else ''}, "
        "or choose a backbone of fewer stages"
    )


def _wrong_levels(backbone: Backbone, channels: int, size: tuple[int, int], published: bool) -> str:
    """Return which map is not as its level says, as when the name of a network was changed and its levels were not."""
    for index, (level, found) in enumerate(zip(backbone.levels, backbone(images(channels, *size)), strict=False)):
        said = (level.channels, *(-(-side // level.stride) for side in size))
        # Layers as published may make other cells than the level says.
        if found.shape[1] != level.channels or (not published and found.shape[1:] != said):
            one, other = (" x ".join(map(str, shape)) for shape in (found.shape[1:], said))
            return (
                f"backbone: level {index} says {level.channels} channels at stride {level.stride}, so {other} of "
                f"images of {size[0]} x {size[1]}, but its map is {one}; where you changed backbone.name, choose that "
                "network's own option or give its own backbone.levels"
            )
    return ""
