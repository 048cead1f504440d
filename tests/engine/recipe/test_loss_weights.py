"""The losses of several heads add up with the weights that are given or learned."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from visionkit.engine.recipe.loss_weights import FixedWeights, LearnedWeights

ALL = torch.tensor([True, True])


def losses(**values: float) -> dict[str, Tensor]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}


def test_fixed_weights_multiply_each_loss() -> None:
    own = losses(a=2.0, b=3.0)
    total = FixedWeights({"a": 0.5, "b": 4.0})(own, {"a": ALL, "b": ALL})
    assert total.item() == 13.0
    total.backward()
    assert [own[name].grad for name in "ab"] == [0.5, 4.0]
    assert not list(FixedWeights({"a": 1.0}).parameters())


def test_learned_weights_begin_with_the_sum() -> None:
    weights = LearnedWeights({"a": 1.0, "b": 1.0})
    assert weights(losses(a=2.0, b=3.0), {"a": ALL, "b": ALL}).item() == 5.0
    assert weights.weights == {"a": 1.0, "b": 1.0}


def test_a_case_worked_by_hand() -> None:
    """s = ln 2 and ln 4: 6 / 2 + ln(2) / 2, and 8 / 4 + ln(4) / 2; by s that falls by the share and rises by 1/2."""
    weights = LearnedWeights({"a": 1.0, "b": 1.0})
    with torch.no_grad():
        weights.log_variance["a"].fill_(math.log(2))
        weights.log_variance["b"].fill_(math.log(4))
    own = losses(a=6.0, b=8.0)
    total = weights(own, {"a": ALL, "b": ALL})
    assert total.item() == pytest.approx(3 + math.log(2) / 2 + 2 + math.log(4) / 2)
    total.backward()
    assert [own[name].grad.item() for name in "ab"] == pytest.approx([1 / 2, 1 / 4])
    assert [weights.log_variance[name].grad.item() for name in "ab"] == pytest.approx([0.5 - 3, 0.5 - 2])
    assert weights.weights == {"a": pytest.approx(1 / 2), "b": pytest.approx(1 / 4)}


def test_a_head_without_labels_in_the_batch_learns_no_weight() -> None:
    """Its loss is 0 then; s / 2 alone would drive the weight up without end."""
    weights = LearnedWeights({"a": 1.0, "b": 1.0})
    total = weights(losses(a=6.0, b=0.0), {"a": ALL, "b": torch.tensor([False, False])})
    total.backward()
    assert weights.log_variance["b"].grad == 0
    assert weights.log_variance["a"].grad == pytest.approx(0.5 - 6)


def test_one_labelled_sample_counts_like_many() -> None:
    weights = LearnedWeights({"a": 1.0})
    weights(losses(a=0.0), {"a": torch.tensor([False, True, True])}).backward()
    assert weights.log_variance["a"].grad == 0.5


def test_the_weights_end_where_the_losses_say() -> None:
    """The minimum over s of exp(-s) L + s / 2 is at exp(s) = 2 L."""
    weights = LearnedWeights({"a": 1.0, "b": 1.0})
    optimizer = torch.optim.SGD(weights.parameters(), lr=0.2)
    for _ in range(200):
        optimizer.zero_grad()
        weights({"a": torch.tensor(2.0), "b": torch.tensor(0.25)}, {"a": ALL, "b": ALL}).backward()
        optimizer.step()
    assert weights.weights == {"a": pytest.approx(1 / 4, rel=1e-3), "b": pytest.approx(2.0, rel=1e-3)}
