import math

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss as reference

from visionkit.losses.focal import sigmoid_focal_loss


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.7, 1.5), (0.5, 0.0)])
def test_equals_torchvision(alpha: float, gamma: float) -> None:
    g = torch.Generator().manual_seed(0)
    logits, truth = 5 * torch.randn(50, 4, generator=g), (torch.rand(50, 4, generator=g) < 0.3).float()
    ours = sigmoid_focal_loss(logits, truth, alpha, gamma)
    torch.testing.assert_close(ours, reference(logits, truth, alpha, gamma))


def test_by_hand() -> None:
    # p = 3/4: what is true costs 1/4 (1/4)^2 log(4/3), what is not 3/4 (3/4)^2 log 4.
    loss = sigmoid_focal_loss(torch.full((2,), math.log(3)), torch.tensor([1.0, 0.0]), 0.25, 2.0)
    assert loss.tolist() == pytest.approx([math.log(4 / 3) / 64, 27 / 64 * math.log(4)])
