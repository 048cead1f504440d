"""Compute the focal loss of independent classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def sigmoid_focal_loss(logits: Tensor, truth: Tensor, alpha: float, gamma: float) -> Tensor:
    """Return the loss of every logit, unreduced; `truth` is 0 or 1 and has the shape of `logits`.

    -alpha_t (1 - p_t)^gamma log(p_t); `alpha` (0 to 1) weighs what is true against what is not, `gamma` (from 0) turns
    down what is easy. Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection (2017), equation 5.
    """
    p = logits.sigmoid()
    miss = p + truth - 2 * p * truth  # 1 - p_t
    weight = 1 - alpha + (2 * alpha - 1) * truth  # alpha_t
    return weight * miss**gamma * F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
