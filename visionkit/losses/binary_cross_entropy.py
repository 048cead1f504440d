"""Compute the loss of classes that do not exclude each other, over the samples that carry such labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from visionkit.losses.class_weights import ClassWeights
from visionkit.losses.contracts import Loss
from visionkit.ops.presence import carriers
from visionkit.ops.ranks import normaliser
from visionkit.types import Targets


class BinaryCrossEntropy(Loss):
    """Sigmoid cross-entropy, a mean over samples and classes.

    `pos_weight` multiplies the loss of each class where it is true, one number a class; None multiplies by 1. The
    weighted sum is divided by the number of samples and classes, not by the sum of the weights.
    """

    def __init__(self, pos_weight: Sequence[float] | None = None) -> None:
        self.pos_weight = ClassWeights("pos_weight", pos_weight)

    def __call__(self, outputs: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Return `binary_cross_entropy` for logits (B, K). Raises ValueError for missing labels or too few weights."""
        if targets.multilabel is None:
            raise ValueError("the batch carries no multi-labels (targets.multilabel is None); this loss needs them")
        logits_BK = outputs.float()
        images, num_classes = logits_BK.shape
        weights = self.pos_weight.of(logits_BK, num_classes)
        counted = carriers(targets, "multilabel", images, logits_BK.device)
        truth_BK = targets.multilabel.where(counted[:, None], 0)
        loss_BK = F.binary_cross_entropy_with_logits(logits_BK, truth_BK, reduction="none", pos_weight=weights)
        return {"binary_cross_entropy": loss_BK.mean(1).where(counted, 0).sum() / normaliser(counted.sum())}
