"""Say which samples of a batch carry labels of a kind."""

from __future__ import annotations

import torch
from torch import Tensor

from visionkit.types import LABEL_KINDS, Targets


def carriers(targets: Targets, kind: str, images: int, device: torch.device) -> Tensor:
    """Return (B,) bool on `device`: which of the `images` samples carry labels of `kind`; all if nothing is said."""
    if targets.present is None:
        return torch.ones(images, dtype=torch.bool, device=device)
    return targets.present[:, LABEL_KINDS.index(kind)].to(device)
