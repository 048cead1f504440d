import math

import pytest
import torch

from visionkit.losses.segmentation import CrossEntropyDice
from visionkit.types import IGNORE_INDEX, LABEL_KINDS, Targets


def _case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 5, 6, generator=g)
    mask = torch.randint(0, 3, (4, 5, 6), generator=g).byte()
    mask[torch.rand(4, 5, 6, generator=g) < 0.2] = IGNORE_INDEX
    mask[1] = mask[1].where(mask[1] != 2, 0)  # an image without class 2
    present = torch.zeros(4, len(LABEL_KINDS), dtype=torch.bool)
    present[:, LABEL_KINDS.index("mask")] = torch.tensor([True, True, False, True])
    return logits, mask, present


def _by_loops(
    logits: torch.Tensor, mask: torch.Tensor, images: list[int], balance: float, fixed: list[float]
) -> tuple[float, float]:
    probabilities, entropies, weights, dice = logits.double().softmax(1), [], [], []
    values = [int(v) for v in mask[images].flatten() if v != IGNORE_INDEX]
    weight = [fixed[k] * (len(values) / max(values.count(k), 1)) ** balance for k in range(logits.shape[1])]
    for b in images:
        for k in range(logits.shape[1]):
            shared = p = y = 0.0
            for i in range(mask.shape[1]):
                for j in range(mask.shape[2]):
                    if mask[b, i, j] == IGNORE_INDEX:
                        continue
                    p += probabilities[b, k, i, j].item()
                    if mask[b, i, j] == k:
                        y += 1
                        shared += probabilities[b, k, i, j].item()
                        entropies.append(-weight[k] * math.log(probabilities[b, k, i, j].item()))
                        weights.append(weight[k])
            if y:
                dice.append(1 - 2 * shared / (p + y))
    return sum(entropies) / sum(weights), sum(dice) / len(dice)


@pytest.mark.parametrize(
    ("balance", "fixed"), [(0.0, None), (0.5, None), (1.0, None), (0.0, [1, 0, 5]), (0.5, [3, 2, 0.1])]
)
def test_equals_loops_over_pixels(balance: float, fixed: list[float] | None) -> None:
    logits, mask, present = _case()
    terms = CrossEntropyDice(2.0, 0.5, balance, fixed)(logits, Targets(mask=mask, present=present))
    entropy, dice = _by_loops(logits, mask, [0, 1, 3], balance, fixed or [1, 1, 1])
    assert terms["cross_entropy"] == pytest.approx(2 * entropy, abs=1e-5)
    assert terms["dice"] == pytest.approx(0.5 * dice, abs=1e-5)


def test_perfect_logits_cost_nothing_and_wrong_ones_a_whole_dice() -> None:
    mask = torch.tensor([[[0, 1], [1, 0]]], dtype=torch.uint8)
    right = torch.stack([mask == 0, mask == 1], dim=1).float() * 200
    assert sum(CrossEntropyDice()(right, Targets(mask=mask)).values()) == pytest.approx(0, abs=1e-6)
    assert CrossEntropyDice()(-right, Targets(mask=mask))["dice"] == pytest.approx(1)


def test_all_ignored_gives_zero_with_a_gradient() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    terms = CrossEntropyDice()(logits, Targets(mask=torch.full((2, 4, 4), IGNORE_INDEX, dtype=torch.uint8)))
    total = sum(terms.values())
    total.backward()
    assert total == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_ignored_and_absent_pixels_get_no_gradient() -> None:
    logits, mask, present = _case()
    logits.requires_grad_()
    sum(CrossEntropyDice()(logits, Targets(mask=mask, present=present)).values()).backward()
    moved = logits.grad.abs().sum(1) > 0
    counted = mask != IGNORE_INDEX
    counted[2] = False
    assert torch.equal(moved, counted)


def test_two_ranks_do_what_one_process_does(two_ranks) -> None:
    logits, mask, present = _case()

    def part(rows: slice) -> dict[str, torch.Tensor]:
        criterion = CrossEntropyDice(class_balance=0.5, class_weights=[1, 4, 0.5])
        return criterion(logits[rows], Targets(mask=mask[rows], present=present[rows]))

    whole = {name: term.item() for name, term in part(slice(None)).items()}
    assert two_ranks(lambda: [part(slice(0, 3)), part(slice(3, 4))]) == pytest.approx(whole, abs=1e-6)


def test_a_weight_of_zero_leaves_a_term_out() -> None:
    logits, mask, _ = _case()
    assert set(CrossEntropyDice(dice_weight=0)(logits, Targets(mask=mask))) == {"cross_entropy"}
    assert set(CrossEntropyDice(cross_entropy_weight=0)(logits, Targets(mask=mask))) == {"dice"}


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="one has to be positive"):
        CrossEntropyDice(0, 0)
    with pytest.raises(ValueError, match=r"targets\.mask is None"):
        CrossEntropyDice()(torch.zeros(1, 2, 4, 4), Targets())
    with pytest.raises(ValueError, match="class_weights has 3 numbers for 2 classes"):
        CrossEntropyDice(class_weights=[1, 1, 1])(
            torch.zeros(1, 2, 4, 4), Targets(mask=torch.zeros(1, 4, 4, dtype=torch.uint8))
        )
    with pytest.raises(ValueError, match=r"\(1, 5, 4\) do not fit"):
        CrossEntropyDice()(torch.zeros(1, 2, 4, 4), Targets(mask=torch.zeros(1, 5, 4, dtype=torch.uint8)))
