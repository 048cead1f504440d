"""The learning rate and the clock do what they say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from tests.engine.recipe.rates import rates_of
from tests.trainings import OWN_BACKBONE, frozen
from visionkit.engine.recipe.clock import Clock
from visionkit.engine.recipe.schedule import Constant, OneCycle, Polynomial, WarmupCosine


def test_values_of_the_schedule() -> None:
    factor = WarmupCosine(warmup=0.1, final=0.01)
    assert factor(0.05) == pytest.approx(0.5)
    assert factor(0.1) == pytest.approx(1.0)
    assert factor(0.55) == pytest.approx(0.505)  # half-way down: the mean of 1 and 0.01
    assert factor(1.0) == pytest.approx(0.01)
    assert factor(1.7) == pytest.approx(0.01)
    assert factor(0.0) > 0


def test_no_warmup_starts_at_the_top() -> None:
    assert WarmupCosine(warmup=0.0)(0.0) == 1.0


def _rates(make: Any, steps: int) -> list[float]:
    """Return what a schedule of PyTorch's makes of a rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_one_cycle_is_that_of_pytorch() -> None:
    """There a cycle of 41 steps ends with the number 40, and its share of warm-up is counted in steps."""
    theirs = _rates(
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=41, pct_start=11 / 41, div_factor=20, final_div_factor=50, cycle_momentum=False
        ),
        40,
    )
    factor = OneCycle(warmup=0.25, initial=0.05, final=0.001)
    assert [factor(step / 40) for step in range(40)] == pytest.approx(theirs)
    assert factor(0.25) == pytest.approx(1.0)
    assert factor(1.2) == pytest.approx(0.001)


def test_a_polynomial_is_that_of_pytorch() -> None:
    theirs = _rates(lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total_iters=20, power=0.9), 20)
    factor = Polynomial(warmup=0.0, power=0.9)
    assert [factor(step / 20) for step in range(20)] == pytest.approx(theirs)
    warm = Polynomial(warmup=0.2, power=2.0, final=0.1)
    assert [warm(p) for p in (0.1, 0.2, 0.6, 1.0, 1.1)] == pytest.approx([0.5, 1.0, 0.1 + 0.9 / 4, 0.1, 0.1])


def test_a_constant_rate_is_reached_and_kept() -> None:
    factor = Constant(warmup=0.1)
    assert [factor(p) for p in (0.0, 0.05, 0.1, 0.5, 1.0)] == pytest.approx([0.01, 0.5, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (OneCycle, {"initial": 0.0}),
        (OneCycle, {"final": 2.0}),
        (Polynomial, {"power": 0.0}),
        (Polynomial, {"warmup": 1.0}),
        (Constant, {"warmup": 1.0}),
    ],
)
def test_impossible_values_are_refused(kind: Any, settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        kind(**settings)


@pytest.mark.parametrize("settings", [{"warmup": 1.0}, {"warmup": -0.1}, {"final": 1.5}])
def test_fractions_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="fractions"):
        WarmupCosine(**settings)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_each_step_of_a_training_has_the_rate_of_its_place(tmp_path: Path, accumulated: int) -> None:
    """Five batches an epoch are five steps, or three."""
    run_dir = frozen(
        tmp_path / "run", *OWN_BACKBONE, "epochs=2", "optimizer.lr=0.01", "scheduler.warmup=0.5",
        f"trainer.accumulate_grad_batches={accumulated}",
    )  # fmt: skip
    factor = WarmupCosine(warmup=0.5, final=0.01)
    places = {1: [step / 10 for step in range(10)], 2: [step / 6 for step in (0, 0, 1, 1, 2, 3, 3, 4, 4, 5)]}
    assert rates_of(run_dir) == pytest.approx([0.01 * factor(place) for place in places[accumulated]])


def _trainer(**fields: Any) -> Any:
    return SimpleNamespace(**({"world_size": 1, "should_stop": False, "estimated_stepping_batches": 4} | fields))


def test_steps_are_the_progress_without_a_budget() -> None:
    clock = Clock()
    trainer = _trainer(global_step=0)
    clock.on_fit_start(trainer, None)  # type: ignore[arg-type]
    seen = []
    for trainer.global_step in range(4):
        clock.on_train_batch_start(trainer, None, None, 0)  # type: ignore[arg-type]
        clock.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
        seen.append(clock.progress)
    assert seen == [0.0, 0.25, 0.5, 0.75]
    assert [clock.at(step) for step in range(4)] == seen
    assert not trainer.should_stop


def test_a_budget_ends_the_training_and_survives_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("visionkit.engine.recipe.clock.time.perf_counter", lambda: now[0])
    clock, trainer = Clock(budget=10.0), _trainer()
    clock.load_state_dict({"elapsed": 4.0})
    clock.on_fit_start(trainer, None)  # type: ignore[arg-type]
    now[0] += 1.0
    clock.on_train_batch_start(trainer, None, None, 0)  # type: ignore[arg-type]
    assert clock.progress == clock.at(99) == pytest.approx(0.5)
    now[0] += 4.9
    clock.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    assert not trainer.should_stop
    now[0] += 0.2
    clock.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    assert trainer.should_stop
    assert clock.state_dict() == {"elapsed": pytest.approx(10.1)}
