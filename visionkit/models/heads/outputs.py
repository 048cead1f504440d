"""Name what the heads of one tensor put out."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LabelOutputs(NamedTuple):
    """One score a class for every image."""

    logits: Tensor  # (B, K)
    auxiliary: Tensor  # (A, B, K), of the classifiers inside the backbone; A is 0 outside training


class MaskOutputs(NamedTuple):
    """One score a class for every pixel of the network's input."""

    logits: Tensor  # (B, K, H, W)
