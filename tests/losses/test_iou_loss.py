import pytest
import torch
from torchvision.ops import generalized_box_iou_loss

from visionkit.losses.iou import giou_loss


def test_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 2, 2]])
    truth = torch.tensor([[0.0, 0, 2, 2], [2, 0, 3, 1], [1, 1, 3, 3]])
    # The same; apart by one: hull 3, union 2; overlap 1, union 7, hull 9.
    assert giou_loss(boxes, truth).tolist() == pytest.approx([0, 1 + 1 / 3, 1 - 1 / 7 + 2 / 9])


def test_equals_torchvision() -> None:
    g = torch.Generator().manual_seed(0)
    corners = 50 * torch.rand(2, 100, 2, generator=g)
    boxes, truth = torch.cat([corners, corners + 1 + 30 * torch.rand(2, 100, 2, generator=g)], dim=-1)
    torch.testing.assert_close(giou_loss(boxes, truth), generalized_box_iou_loss(boxes, truth), atol=1e-5, rtol=1e-5)
