"""Check what backbones are given: arguments that several of them take, and images."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from visionkit.models.blocks.style import PADDINGS

_PADDINGS: Final = (None, *PADDINGS)


def check_padding(padding: str | None) -> None:
    """Raise ValueError for a padding that no backbone knows."""
    if padding not in _PADDINGS:
        raise ValueError(f"backbone.padding={padding}; choose same, published or null (decided by the head)")


def check_in_channels(in_channels: int) -> None:
    """Raise ValueError for what is no number of channels."""
    if not isinstance(in_channels, int) or in_channels < 1:
        raise ValueError(f"backbone.in_channels={in_channels!r}; it has to be a whole number of at least 1")


def check_channels(images: Tensor, in_channels: int) -> None:
    """Raise ValueError for images (B, C, H, W) of another C."""
    if images.shape[1] != in_channels:
        raise ValueError(
            f"images have {images.shape[1]} channels but the backbone was built with "
            f"in_channels={in_channels}; images are (B, C, H, W)"
        )
