"""MultilabelMetrics against scikit-learn and by hand; test_classification_metrics.py has it in two processes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score

from visionkit.metrics.multilabel import MultilabelMetrics


def sample() -> tuple[torch.Tensor, torch.Tensor]:
    """60 samples of four classes, with equal probabilities among them."""
    generator = torch.Generator().manual_seed(0)
    probabilities = (torch.rand(60, 4, generator=generator) * 20).round() / 20
    return probabilities, (torch.rand(60, 4, generator=generator) < torch.tensor([0.1, 0.3, 0.5, 0.9])).float()


def values(metric: MultilabelMetrics) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="No positive samples")  # of classes that are left out
        return {name: value.item() for name, value in metric.compute().items()}


def test_equals_sklearn() -> None:
    p, truth = sample()
    metric = MultilabelMetrics(4, 0.6)
    for rows in (slice(0, 7), slice(7, 60)):
        metric.update(p[rows], truth[rows])
    found = (p.double() >= np.float32(0.6)).numpy()
    assert (p == np.float32(0.6)).any()  # some lie on the threshold itself
    assert values(metric) == pytest.approx(
        {
            "mAP": average_precision_score(truth.numpy(), p.numpy(), average="macro"),
            "f1_macro": f1_score(truth.numpy(), found, average="macro"),
            "f1_micro": f1_score(truth.numpy(), found, average="micro"),
        },
        abs=1e-6,
    )


def test_by_hand() -> None:
    # Class 0: right, wrong, right by falling probability: (1 + 2/3) / 2. Class 1: its one sample comes second.
    p = torch.tensor([[0.9, 0.5], [0.8, 0.7], [0.3, 0.1]])
    metric = MultilabelMetrics(2, 0.5)
    metric.update(p, torch.tensor([[1, 1], [0, 0], [1, 0]]))
    # At 0.5 class 0 has one hit, one false and one missed, class 1 one hit and one false: 2/4, 2/3 and 4/7.
    assert values(metric) == pytest.approx(
        {"mAP": (5 / 6 + 1 / 2) / 2, "f1_macro": (1 / 2 + 2 / 3) / 2, "f1_micro": 4 / 7}
    )


def test_what_nothing_defines_is_left_out() -> None:
    # Class 1 is neither true nor found; class 2 is found but never true, so that only F1 speaks of it.
    metric = MultilabelMetrics(3, 0.5)
    metric.update(torch.tensor([[0.9, 0.1, 0.8], [0.2, 0.3, 0.1]]), torch.tensor([[1, 0, 0], [0, 0, 0]]))
    assert values(metric) == pytest.approx({"mAP": 1, "f1_macro": 1 / 2, "f1_micro": 2 / 3})
    metric.reset()
    assert values(metric) == pytest.approx({"mAP": np.nan, "f1_macro": np.nan, "f1_micro": np.nan}, nan_ok=True)
    metric.update(torch.zeros(2, 3), torch.ones(2, 3))
    assert values(metric) == pytest.approx({"mAP": 1, "f1_macro": 0, "f1_micro": 0})


def test_a_constant_guess_scores_the_share() -> None:
    metric = MultilabelMetrics(2, 0.5)
    metric.update(torch.tensor([[0.25, 0.5]]).repeat(4, 1), torch.tensor([[1, 1], [0, 1], [0, 0], [0, 0]]))
    assert values(metric)["mAP"] == pytest.approx((1 / 4 + 1 / 2) / 2)
