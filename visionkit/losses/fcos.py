"""Compute the three losses of FCOS: class, box and centerness of every point."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from visionkit.losses.contracts import Loss
from visionkit.losses.focal import sigmoid_focal_loss
from visionkit.losses.iou import giou_loss
from visionkit.ops.boxes import boxes_from_distances
from visionkit.ops.ranks import normaliser


class PointOutputs(NamedTuple):
    """What a dense detector says at the P points of all its levels."""

    class_logits: Tensor  # (B, P, K)
    distances: Tensor  # (B, P, 4) pixels from the point to the box's left, top, right and bottom side, positive
    centerness_logits: Tensor  # (B, P)
    points: Tensor  # (P, 2) x, y in pixels
    strides: Tensor  # (P,) pixels
    image_size: Tensor  # (2,) height, width in pixels


class PointTargets(NamedTuple):
    """What it should say there."""

    label: Tensor  # (B, P) int64, -1 where the point is no object's
    distances: Tensor  # (B, P, 4) pixels, read where label >= 0
    counted: Tensor  # (B, P) bool: False where neither object nor background is known


def centerness(distances: Tensor) -> Tensor:
    """Return how central a point lies in its box (..., 4): 1 in the middle, 0 at a side.

    Tian, Shen, Chen, He: FCOS: Fully Convolutional One-Stage Object Detection (2019), equation 3.
    """
    across, along = distances[..., 0::2], distances[..., 1::2]
    ratio_x = across.amin(-1) / across.amax(-1)
    ratio_y = along.amin(-1) / along.amax(-1)
    return (ratio_x * ratio_y).sqrt()


class FCOSLoss(Loss):
    """Focal loss of the classes, GIoU loss of the boxes weighted by centerness, cross-entropy of the centerness.

    `alpha` and `gamma` are the focal loss's; the weights multiply the terms. The class and centerness terms are
    divided by the number of points that belong to objects, the box term by their summed centerness. Tian, Shen, Chen,
    He: FCOS (2019), equation 2, with GIoU in place of IoU.
    """

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, box_weight: float = 1.0, centerness_weight: float = 1.0
    ) -> None:
        if not 0 <= alpha <= 1 or gamma < 0:
            raise ValueError(f"alpha={alpha}, gamma={gamma}; alpha lies between 0 and 1, gamma is not negative")
        if box_weight < 0 or centerness_weight < 0:
            raise ValueError(f"box_weight={box_weight}, centerness_weight={centerness_weight}; none may be negative")
        self.alpha = alpha
        self.gamma = gamma
        self.box_weight = box_weight
        self.centerness_weight = centerness_weight

    def __call__(self, outputs: PointOutputs, targets: PointTargets) -> dict[str, Tensor]:
        """Return `class`, `box` and `centerness`."""
        positive = (targets.label >= 0) & targets.counted
        positives = normaliser(positive.sum())
        num_classes = outputs.class_logits.shape[-1]
        truth = F.one_hot(targets.label.where(positive, num_classes), num_classes + 1)[..., :num_classes].float()
        focal = sigmoid_focal_loss(outputs.class_logits.float(), truth, self.alpha, self.gamma)
        # Ones where there is no object keep both box losses finite there; the weights below leave them out.
        reach = targets.distances.where(positive[..., None], 1.0)
        central = centerness(reach).where(positive, 0.0)
        points = outputs.points
        boxes = giou_loss(boxes_from_distances(points, outputs.distances.float()), boxes_from_distances(points, reach))
        logits = outputs.centerness_logits.float()
        entropy = F.binary_cross_entropy_with_logits(logits, central, reduction="none")
        return {
            "class": torch.where(targets.counted[..., None], focal, 0.0).sum() / positives,
            "box": self.box_weight * (boxes * central).sum() / normaliser(central.sum()),
            "centerness": self.centerness_weight * entropy.where(positive, 0.0).sum() / positives,
        }
