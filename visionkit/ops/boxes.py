"""Do the geometry of boxes: absolute pixels x1 y1 x2 y2, in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms


def box_area(boxes: Tensor) -> Tensor:
    """Return the areas (...) of boxes (..., 4) in square pixels; 0 for boxes turned inside out."""
    width = (boxes[..., 2] - boxes[..., 0]).clamp(min=0)
    height = (boxes[..., 3] - boxes[..., 1]).clamp(min=0)
    return width * height


def boxes_from_distances(points: Tensor, distances: Tensor) -> Tensor:
    """Return the boxes (..., 4) that reach `distances` (..., 4) left, up, right and down from `points` (..., 2)."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def clip_boxes(boxes: Tensor, image_size: Tensor) -> Tensor:
    """Return boxes (..., 4) cut at the borders of an image; `image_size` is a (2,) tensor: height, width."""
    limit = image_size.flip(0).repeat(2).to(boxes)
    return boxes.clamp(min=0).minimum(limit)


def suppress(boxes: Tensor, score: Tensor, label: Tensor, iou: float, limit: int) -> Tensor:
    """Return the indices of one image's boxes that survive non-maximum suppression, best first, at most `limit`.

    A box falls to a better one of its own class that it overlaps by more than `iou`.
    """
    # In double precision: batched_nms keeps classes apart by shifting them by whole images, which float32 rounds.
    survivors: Tensor = batched_nms(boxes.double(), score.double(), label, iou)
    return survivors[:limit]
