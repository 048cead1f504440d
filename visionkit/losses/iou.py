"""Compute the loss between pairs of boxes by their generalised overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from visionkit.ops.boxes import box_area


def giou_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - GIoU (...) of boxes (..., 4) with their partners, 0 to 2; x1 y1 x2 y2, positive areas.

    GIoU is the overlap over the union, less the share of the hull that the union leaves empty.
    Rezatofighi et al.: Generalized Intersection over Union (2019), algorithm 1.
    """
    inner = torch.cat([boxes[..., :2].maximum(truth[..., :2]), boxes[..., 2:].minimum(truth[..., 2:])], dim=-1)
    outer = torch.cat([boxes[..., :2].minimum(truth[..., :2]), boxes[..., 2:].maximum(truth[..., 2:])], dim=-1)
    overlap, hull = box_area(inner), box_area(outer)
    union = box_area(boxes) + box_area(truth) - overlap
    return 1 - overlap / union + (hull - union) / hull
