import math

import pytest
import torch
import torch.nn.functional as F

from visionkit.losses.cross_entropy import CrossEntropy
from visionkit.types import LABEL_KINDS, Targets


def _present(*rows: bool) -> torch.Tensor:
    present = torch.zeros(len(rows), len(LABEL_KINDS), dtype=torch.bool)
    present[:, LABEL_KINDS.index("labels")] = torch.tensor(rows)
    return present


def test_equals_pytorchs_mean() -> None:
    logits, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1, 1, 2])
    ours = CrossEntropy(label_smoothing=0.1)(logits, Targets(labels=labels))["cross_entropy"]
    assert ours == pytest.approx(F.cross_entropy(logits, labels, label_smoothing=0.1).item(), abs=1e-6)


def test_smoothing_by_hand() -> None:
    # Two classes, logits 0 and log 3: p = 1/4, 3/4. Truth 1, smoothed by 0.2: 0.1 and 0.9.
    loss = CrossEntropy(label_smoothing=0.2)(torch.tensor([[0.0, math.log(3)]]), Targets(labels=torch.tensor([1])))
    assert loss["cross_entropy"] == pytest.approx(-0.1 * math.log(1 / 4) - 0.9 * math.log(3 / 4))


def test_class_weights_multiply_and_the_number_of_samples_divides() -> None:
    loss = CrossEntropy(class_weights=[1.0, 3.0])(torch.zeros(2, 2), Targets(labels=torch.tensor([0, 1])))
    assert loss["cross_entropy"] == pytest.approx((1 + 3) * math.log(2) / 2)


def test_mixed_labels_count_by_their_share() -> None:
    """That is cross-entropy against the mixed distributions, smoothed and weighted alike."""
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    labels, others, mix = torch.tensor([0, 3, 1]), torch.tensor([2, 3, 0]), torch.tensor([0.25, 0.5, 0.0])
    targets = Targets(labels=labels, mixed_labels=others, mix=mix)
    truth = (1 - mix)[:, None] * F.one_hot(labels, 4) + mix[:, None] * F.one_hot(others, 4)
    expected = F.cross_entropy(logits, truth, label_smoothing=0.1).item()
    assert CrossEntropy(label_smoothing=0.1)(logits, targets)["cross_entropy"] == pytest.approx(expected, abs=1e-6)
    weighted = CrossEntropy(class_weights=[1.0, 2.0, 3.0, 4.0])(logits, targets)["cross_entropy"]
    losses = -(truth * torch.tensor([1.0, 2.0, 3.0, 4.0]) * logits.log_softmax(1)).sum(1)
    assert weighted == pytest.approx(losses.mean().item(), abs=1e-5)
    absent = targets._replace(mixed_labels=torch.tensor([2, -1, 0]), present=_present(True, False, True))
    assert torch.isfinite(CrossEntropy()(logits, absent)["cross_entropy"])


def test_samples_without_labels_do_not_count() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([1, -1, 2])
    loss = CrossEntropy()(logits, Targets(labels=labels, present=_present(True, False, True)))["cross_entropy"]
    assert loss.item() == pytest.approx(F.cross_entropy(logits[[0, 2]], labels[[0, 2]]).item(), abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[1].abs().sum() == 0
    assert logits.grad[0].abs().sum() > 0


def test_nothing_to_count_gives_zero_with_a_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    targets = Targets(labels=torch.tensor([0, 1]), present=_present(False, False))
    loss = CrossEntropy()(logits, targets)["cross_entropy"]
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_two_ranks_do_what_one_process_does(two_ranks) -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels, present = torch.tensor([0, 3, 1, 1, 2]), _present(True, True, False, True, False)
    criterion = CrossEntropy(label_smoothing=0.1, class_weights=[1.0, 2.0, 0.5, 1.0])

    def part(rows: slice) -> dict[str, torch.Tensor]:
        return criterion(logits[rows], Targets(labels=labels[rows], present=present[rows]))

    whole = part(slice(None))["cross_entropy"].item()
    halves = two_ranks(lambda: [part(slice(0, 1)), part(slice(1, 5))])
    assert halves["cross_entropy"] == pytest.approx(whole, abs=1e-6)


def test_half_precision_is_computed_in_full() -> None:
    assert (
        CrossEntropy()(torch.randn(2, 3).bfloat16(), Targets(labels=torch.tensor([0, 1])))["cross_entropy"].dtype
        == torch.float32
    )


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"label_smoothing=1\.5.*below 1"):
        CrossEntropy(label_smoothing=1.5)
    with pytest.raises(ValueError, match="none of them negative"):
        CrossEntropy(class_weights=[1.0, -1.0])
    with pytest.raises(ValueError, match="2 numbers for 3 classes"):
        CrossEntropy(class_weights=[1.0, 1.0])(torch.zeros(1, 3), Targets(labels=torch.tensor([0])))
    with pytest.raises(ValueError, match=r"targets\.labels is None"):
        CrossEntropy()(torch.zeros(1, 3), Targets())
