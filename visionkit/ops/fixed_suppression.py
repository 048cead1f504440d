"""Suppress overlapping boxes of whole batches in shapes that do not depend on the data, as an exported graph needs."""

from __future__ import annotations

import torch
from torch import Tensor

from visionkit.ops.boxes import box_area


def survivors(boxes_BT4: Tensor, label_BT: Tensor, valid_BT: Tensor, iou: float) -> Tensor:
    """Return (B, T) bool: which boxes survive greedy non-maximum suppression within their class.

    The T boxes of an image come best first; those that are not `valid_BT` neither survive nor suppress.

    A box survives unless a better one that survives overlaps it by more than `iou`. Starting from all boxes, that
    sentence is applied to everything at once until nothing changes: after n rounds it holds for all boxes at the end
    of a chain of n suppressions at most, so the one fixed point is the greedy result, reached in as many rounds as
    the longest chain is long. `ops.boxes.suppress` does the same in sequence.
    """
    number = boxes_BT4.shape[1]
    better_TT = torch.ones(number, number, dtype=torch.bool, device=boxes_BT4.device).triu(1)
    same_BTT = label_BT[:, :, None] == label_BT[:, None, :]
    suppresses_BTT = (_iou(boxes_BT4) > iou) & same_BTT & better_TT

    def apply_once(keep_BT: Tensor) -> Tensor:
        return valid_BT & ~(suppresses_BTT & keep_BT[:, :, None]).any(dim=1)

    def changes(keep_BT: Tensor, before_BT: Tensor) -> Tensor:
        return (keep_BT != before_BT).any()

    def go_on(keep_BT: Tensor, before_BT: Tensor) -> tuple[Tensor, Tensor]:
        return apply_once(keep_BT), keep_BT.clone()  # a loop's results may not share memory with its arguments

    start = (apply_once(valid_BT), valid_BT.clone())
    keep_BT: Tensor = torch.while_loop(changes, go_on, start)[0]  # type: ignore[no-untyped-call]
    return keep_BT


def first(keep_BT: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Return the indices (B, D) of the first D places that are kept, in order, and which of the D there are.

    D is the smaller of `limit` and T.
    """
    number = keep_BT.shape[1]
    place_T = torch.arange(number, device=keep_BT.device)
    rank_BT = torch.where(keep_BT, place_T, place_T + number)  # no two alike: ties are sorted differently everywhere
    smallest_BD, index_BD = rank_BT.topk(min(limit, number), dim=1, largest=False)
    return index_BD, smallest_BD < number


def _iou(boxes_BT4: Tensor) -> Tensor:
    """Return (B, T, T): the overlap of each box with each other one of its image."""
    shared = []
    for low, high in ((0, 2), (1, 3)):  # one axis after the other takes half of the memory
        upper = torch.minimum(boxes_BT4[:, :, None, high], boxes_BT4[:, None, :, high])
        lower = torch.maximum(boxes_BT4[:, :, None, low], boxes_BT4[:, None, :, low])
        shared.append((upper - lower).clamp(min=0))
    inside_BTT = shared[0] * shared[1]
    area_BT = box_area(boxes_BT4)
    return inside_BTT / (area_BT[:, :, None] + area_BT[:, None, :] - inside_BTT)
