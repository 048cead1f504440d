import math

import pytest
import torch
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from visionkit.losses.fcos import FCOSLoss, PointOutputs, PointTargets, centerness


def _case() -> tuple[PointOutputs, PointTargets]:
    """Three images, six points, four classes; about half the points are positive and some do not count."""
    g = torch.Generator().manual_seed(0)
    outputs = PointOutputs(
        class_logits=torch.randn(3, 6, 4, generator=g),
        distances=1 + 9 * torch.rand(3, 6, 4, generator=g),
        centerness_logits=torch.randn(3, 6, generator=g),
        points=20 * torch.rand(6, 2, generator=g),
        strides=torch.full((6,), 4.0),
        image_size=torch.tensor([20.0, 20.0]),
    )
    label = torch.randint(-4, 4, (3, 6), generator=g).clamp(min=-1)
    targets = PointTargets(label, 1 + 9 * torch.rand(3, 6, 4, generator=g), torch.rand(3, 6, generator=g) < 0.8)
    return outputs, targets._replace(distances=targets.distances * (label >= 0)[..., None] - (label < 0)[..., None] * 5)


def test_centerness_by_hand() -> None:
    middle, side, quarter = [4.0, 2, 4, 2], [0.0, 2, 8, 2], [2.0, 1, 8, 9]
    assert centerness(torch.tensor([middle, side, quarter])).tolist() == pytest.approx([1, 0, math.sqrt(2 / 8 * 1 / 9)])


def test_equals_a_loop_over_points() -> None:
    outputs, targets = _case()
    focal = box = entropy = weight = 0.0
    positives = 0
    for b in range(3):
        for p in range(6):
            if not targets.counted[b, p]:
                continue
            truth = torch.zeros(4)
            label = int(targets.label[b, p])
            if label >= 0:
                truth[label] = 1
                positives += 1
                left, top, right, bottom = targets.distances[b, p].tolist()
                central = math.sqrt(min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom))
                x, y = outputs.points[p].tolist()
                found = outputs.distances[b, p].tolist()
                pair = torch.tensor(
                    [
                        [x - found[0], y - found[1], x + found[2], y + found[3]],
                        [x - left, y - top, x + right, y + bottom],
                    ]
                )
                box += central * generalized_box_iou_loss(pair[:1], pair[1:]).item()
                weight += central
                score = 1 / (1 + math.exp(-outputs.centerness_logits[b, p].item()))
                entropy -= central * math.log(score) + (1 - central) * math.log(1 - score)
            focal += sigmoid_focal_loss(outputs.class_logits[b, p], truth, 0.3, 1.5).sum().item()
    assert 3 < positives < 12
    terms = FCOSLoss(alpha=0.3, gamma=1.5, box_weight=2.0, centerness_weight=0.5)(outputs, targets)
    expected = {"class": focal / positives, "box": 2 * box / weight, "centerness": 0.5 * entropy / positives}
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, abs=1e-5)


def test_no_object_gives_finite_terms_and_gradients() -> None:
    outputs, targets = _case()
    for tensor in outputs[:3]:
        tensor.requires_grad_()
    terms = FCOSLoss()(outputs, targets._replace(label=torch.full((3, 6), -1)))
    sum(terms.values()).backward()
    assert terms["box"] == 0
    assert terms["centerness"] == 0
    assert terms["class"] > 0
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in outputs[:3])


def test_uncounted_points_get_no_gradient() -> None:
    outputs, targets = _case()
    for tensor in outputs[:3]:
        tensor.requires_grad_()
    sum(FCOSLoss()(outputs, targets).values()).backward()
    moved = outputs.class_logits.grad.abs().sum(-1) > 0
    positive = targets.counted & (targets.label >= 0)
    assert torch.equal(moved, targets.counted)
    assert torch.equal(outputs.centerness_logits.grad != 0, positive)
    assert torch.equal(outputs.distances.grad.abs().sum(-1) > 0, positive)


def test_two_ranks_do_what_one_process_does(two_ranks) -> None:
    outputs, targets = _case()

    def part(rows: slice) -> dict[str, torch.Tensor]:
        return FCOSLoss()(
            PointOutputs(*(tensor[rows] for tensor in outputs[:3]), *outputs[3:]),
            PointTargets(*(tensor[rows] for tensor in targets)),
        )

    whole = {name: term.item() for name, term in part(slice(None)).items()}
    assert two_ranks(lambda: [part(slice(0, 1)), part(slice(1, 3))]) == pytest.approx(whole, abs=1e-5)


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"alpha=2\.0.*between 0 and 1"):
        FCOSLoss(alpha=2.0)
    with pytest.raises(ValueError, match="none may be negative"):
        FCOSLoss(box_weight=-1.0)
