"""Compute the classification loss: cross-entropy over the samples that carry a label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from visionkit.losses.class_weights import ClassWeights
from visionkit.losses.contracts import Loss
from visionkit.ops.presence import carriers
from visionkit.ops.ranks import normaliser
from visionkit.types import Targets


class CrossEntropy(Loss):
    """Softmax cross-entropy with smoothed labels.

    `label_smoothing` (0 to 1) is spread over all classes (Szegedy et al.: Rethinking the Inception Architecture, 2016,
    section 7). `class_weights` multiply the loss of each class, one number a class; None weighs all by 1. The weighted
    sum is divided by the number of samples, not by the sum of their weights as PyTorch's mean is. A sample into which
    another is mixed has the mean of the losses for both labels, weighted by their shares (Zhang et al.: mixup, 2018).
    """

    def __init__(self, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing={label_smoothing}; it has to be at least 0 and below 1")
        self.label_smoothing = label_smoothing
        self.class_weights = ClassWeights("class_weights", class_weights)

    def __call__(self, outputs: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Return `cross_entropy` for logits (B, K). Raises ValueError for missing labels or too few weights."""
        if targets.labels is None:
            raise ValueError("the batch carries no labels (targets.labels is None); this loss needs class labels")
        logits_BK = outputs.float()
        images, num_classes = logits_BK.shape
        weights = self.class_weights.of(logits_BK, num_classes)
        counted = carriers(targets, "labels", images, logits_BK.device)
        labels = targets.labels.where(counted, 0)

        def against(labels_B: Tensor) -> Tensor:
            return F.cross_entropy(logits_BK, labels_B, weights, reduction="none", label_smoothing=self.label_smoothing)

        loss = against(labels)
        if targets.mixed_labels is not None and targets.mix is not None:
            loss = torch.lerp(loss, against(targets.mixed_labels.where(counted, 0)), targets.mix)
        return {"cross_entropy": loss.where(counted, 0).sum() / normaliser(counted.sum())}
