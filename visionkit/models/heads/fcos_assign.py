"""Assign every point of a feature pyramid to the object that it has to find, as FCOS does."""

from __future__ import annotations

import torch
from torch import Tensor

from visionkit.losses.fcos import PointTargets
from visionkit.ops.boxes import box_area
from visionkit.ops.presence import carriers
from visionkit.types import Targets

REACH_OF_LEVEL = 8
"""A level of stride s finds boxes whose farthest side is at most 8 s away from the point, as in the paper (64 at 8)."""


def assign(points: Tensor, strides: Tensor, targets: Targets, images: int, radius: float) -> PointTargets:
    """Return the targets of the P `points` (P, 2), whose maps have the `strides` (P,), in each of B `images`.

    A point belongs to a box when it lies inside it, less than `radius` strides from its centre along both axes, and
    the box's farthest side is in the level's range: above 4 and up to 8 strides, from 0 at the finest level and
    without end at the coarsest. Of several boxes the smallest wins, of equal ones the first. Points inside an ignored
    box that belong to no other are not counted, nor is any point of an image without boxes in `targets.present`.
    Boxes without area are no objects. Tian, Shen, Chen, He: FCOS (2019), sections 3.1 and 3.2; centre sampling is the
    authors' later improvement.

    Raises ValueError for boxes that are not finite, or when there are none to read.
    """
    if targets.boxes is None or targets.box_label is None or targets.box_image is None:
        raise ValueError("the batch carries no boxes (boxes, box_label or box_image is None); this head needs them")
    boxes_N4, label_N, image_N = targets.boxes.to(points), targets.box_label, targets.box_image
    if not bool(boxes_N4.isfinite().all()):
        bad = int((~boxes_N4.isfinite().all(dim=1)).nonzero()[0])
        raise ValueError(f"box {bad} of the batch is {boxes_N4[bad].tolist()}; boxes are finite pixels x1 y1 x2 y2")
    number, size = len(boxes_N4), len(points)
    x, y = points.T
    left, top, right, bottom = (side[:, None] for side in boxes_N4.T)
    nearest_NP = torch.minimum(torch.minimum(x - left, right - x), torch.minimum(y - top, bottom - y))
    farthest_NP = torch.maximum(torch.maximum(x - left, right - x), torch.maximum(y - top, bottom - y))
    offset_NP = torch.maximum((x - (left + right) / 2).abs(), (y - (top + bottom) / 2).abs())
    area_N = box_area(boxes_N4)
    ignored_N = torch.zeros_like(label_N, dtype=torch.bool) if targets.box_ignore is None else targets.box_ignore
    inside_NP = nearest_NP > 0  # nothing is inside a box without area, nor in one turned inside out
    # Ranges touch, so that half of a level's reach is where the next finer level stops.
    reach = REACH_OF_LEVEL * strides
    lower = torch.where(strides == strides.min(), 0.0, reach / 2)
    upper = torch.where(strides == strides.max(), torch.inf, reach)
    in_range_NP = (farthest_NP > lower) & (farthest_NP <= upper)
    candidate_NP = inside_NP & in_range_NP & (offset_NP < radius * strides) & ~ignored_N[:, None]

    # The smallest box wins: boxes by rank of area, and the lowest rank at each point of each image.
    order_N = area_N.argsort(stable=True)
    rank_N = torch.empty_like(order_N)
    rank_N[order_N] = torch.arange(number, device=order_N.device)
    rank_NP = rank_N[:, None].where(candidate_NP, number)
    winner_BP = rank_N.new_full((images, size), number)
    winner_BP = winner_BP.scatter_reduce(0, image_N[:, None].expand(number, size), rank_NP, "amin")
    positive_BP = winner_BP < number
    # One row more, so that points without a winner have something to look up.
    box_BP = torch.cat([order_N, order_N.new_tensor([number])])[winner_BP]
    label_BP = torch.cat([label_N, label_N.new_tensor([-1])])[box_BP]
    box_BP4 = torch.cat([boxes_N4, boxes_N4.new_zeros(1, 4)])[box_BP]
    distances_BP4 = torch.cat([points - box_BP4[..., :2], box_BP4[..., 2:] - points], dim=-1)
    void_BP = points.new_zeros(images, size).index_add(0, image_N, (inside_NP & ignored_N[:, None]).to(points)) > 0
    counted_BP = (positive_BP | ~void_BP) & carriers(targets, "boxes", images, points.device)[:, None]
    return PointTargets(label_BP, distances_BP4, counted_BP)
