"""The learning rate falls when the monitor stands still, at the same place after a resume."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tests.engine.recipe.rates import rates_of
from tests.trainings import OWN_BACKBONE, frozen
from visionkit.engine.recipe.plateau import Plateau


def test_it_falls_where_pytorchs_does() -> None:
    """Which counts the validations that it still lets pass, one less than those that it waits for."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=2, threshold=0.0, min_lr=0.1)
    ours = Plateau(warmup=0.0, factor=0.5, patience=3, final=0.1)
    draw = random.Random(0)
    for _ in range(60):
        value = draw.choice([0.1, 0.2, 0.3, 0.4])
        theirs.step(value)
        before = ours(0.5)
        assert ours.observe(value) == (optimizer.param_groups[0]["lr"] < before)
        assert ours(0.5) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert ours(0.5) == 0.1


def test_it_counts_from_the_end_of_the_warm_up_on() -> None:
    schedule = Plateau(warmup=0.5, factor=0.1, patience=2)
    assert schedule(0.25) == 0.5
    for _ in range(5):
        schedule.observe(0.7)
    schedule(0.5)
    schedule.observe(0.6)
    assert schedule(0.6) == 1.0
    schedule.observe(0.7)  # as good as in the warm-up is no better
    assert schedule(0.6) == pytest.approx(0.1)


@pytest.mark.parametrize("settings", [{"factor": 1.0}, {"factor": 0.0}, {"patience": 0}, {"warmup": 1.0}])
def test_impossible_values_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Plateau(**settings)


def test_a_training_is_slowed_down_and_resumed_in_between(tmp_path: Path) -> None:
    """At a rate of nearly nothing the first validation stays the best."""
    given = (
        *OWN_BACKBONE, "optimizer=sgd", "optimizer.lr=1e-12", "scheduler=plateau", "scheduler.warmup=0.0",
        "scheduler.patience=2", "epochs=6",
    )  # fmt: skip

    def train(name: str, checkpoint: Path | None, *more: str) -> list[float]:
        return rates_of(frozen(tmp_path / name, *given, *more), checkpoint)

    rates = train("whole", None)
    # An epoch has five steps; that behind the validation still has the rate which was set before it.
    expected = [1.0] * (3 * 5 + 1) + [0.1] * (2 * 5) + [0.01] * 4
    assert [rate / 1e-12 for rate in rates] == pytest.approx(expected)
    train("half", None, "epochs=4")
    assert train("rest", tmp_path / "half/checkpoints/last.ckpt") == rates[20:]
