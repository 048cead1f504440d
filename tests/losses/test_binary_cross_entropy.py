import math

import pytest
import torch
import torch.nn.functional as F

from visionkit.losses.binary_cross_entropy import BinaryCrossEntropy
from visionkit.types import LABEL_KINDS, Targets


def _case() -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(5, 3, generator=g), (torch.rand(5, 3, generator=g) < 0.4).float()


def _present(*rows: bool) -> torch.Tensor:
    present = torch.zeros(len(rows), len(LABEL_KINDS), dtype=torch.bool)
    present[:, LABEL_KINDS.index("multilabel")] = torch.tensor(rows)
    return present


def test_equals_pytorchs_mean() -> None:
    logits, truth = _case()
    for weights in (None, [2.0, 0.5, 7.0]):
        ours = BinaryCrossEntropy(weights)(logits, Targets(multilabel=truth))["binary_cross_entropy"]
        theirs = F.binary_cross_entropy_with_logits(
            logits, truth, pos_weight=None if weights is None else torch.tensor(weights)
        )
        assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_by_hand() -> None:
    # p = 3/4 and 1/2; the first class is true and weighs 3, the second is not, so that its weight does not count.
    loss = BinaryCrossEntropy([3.0, 9.0])(
        torch.tensor([[math.log(3), 0.0]]), Targets(multilabel=torch.tensor([[1.0, 0.0]]))
    )
    assert loss["binary_cross_entropy"].item() == pytest.approx((-3 * math.log(3 / 4) - math.log(1 / 2)) / 2)


def test_samples_without_labels_do_not_count() -> None:
    logits, truth = _case()
    logits.requires_grad_()
    truth[2] = torch.nan
    present = _present(True, True, False, True, False)
    loss = BinaryCrossEntropy()(logits, Targets(multilabel=truth, present=present))["binary_cross_entropy"]
    rows = [0, 1, 3]
    assert loss.item() == pytest.approx(F.binary_cross_entropy_with_logits(logits[rows], truth[rows]).item(), abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad.abs().sum(1) > 0).tolist() == [True, True, False, True, False]


def test_nothing_to_count_gives_zero_with_a_gradient() -> None:
    logits, truth = _case()
    logits.requires_grad_()
    loss = BinaryCrossEntropy()(logits, Targets(multilabel=truth, present=_present(*[False] * 5)))
    loss["binary_cross_entropy"].backward()
    assert loss["binary_cross_entropy"] == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_two_ranks_do_what_one_process_does(two_ranks) -> None:
    logits, truth = _case()
    present = _present(True, True, False, True, False)

    def part(rows: slice) -> dict[str, torch.Tensor]:
        targets = Targets(multilabel=truth[rows], present=present[rows])
        return BinaryCrossEntropy([1.0, 2.0, 3.0])(logits[rows], targets)

    whole = part(slice(None))["binary_cross_entropy"].item()
    halves = two_ranks(lambda: [part(slice(0, 1)), part(slice(1, 5))])
    assert halves["binary_cross_entropy"] == pytest.approx(whole, abs=1e-6)


def test_half_precision_is_computed_in_full() -> None:
    logits, truth = _case()
    term = BinaryCrossEntropy([1, 2, 3])(logits.bfloat16(), Targets(multilabel=truth))["binary_cross_entropy"]
    assert term.dtype == torch.float32


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"pos_weight=\[1\.0, -1\.0\]; give one number a class, none of them negative"):
        BinaryCrossEntropy([1.0, -1.0])
    with pytest.raises(ValueError, match="pos_weight=balanced; give one number a class"):
        BinaryCrossEntropy("balanced")
    with pytest.raises(ValueError, match="pos_weight has 2 numbers for 3 classes"):
        BinaryCrossEntropy([1.0, 1.0])(torch.zeros(1, 3), Targets(multilabel=torch.zeros(1, 3)))
    with pytest.raises(ValueError, match=r"targets\.multilabel is None"):
        BinaryCrossEntropy()(torch.zeros(1, 3), Targets(labels=torch.tensor([0])))
