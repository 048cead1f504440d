"""The learning rate and the clock do what they say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from visionkit.engine.recipe.clock import Clock
from visionkit.engine.recipe.schedule import WarmupCosine


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


@pytest.mark.parametrize("settings", [{"warmup": 1.0}, {"warmup": -0.1}, {"final": 1.5}])
def test_fractions_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="fractions"):
        WarmupCosine(**settings)


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
    assert not trainer.should_stop


def test_a_budget_ends_the_training_and_survives_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("visionkit.engine.recipe.clock.time.perf_counter", lambda: now[0])
    clock, trainer = Clock(budget=10.0), _trainer()
    clock.load_state_dict({"elapsed": 4.0})
    clock.on_fit_start(trainer, None)  # type: ignore[arg-type]
    now[0] += 1.0
    clock.on_train_batch_start(trainer, None, None, 0)  # type: ignore[arg-type]
    assert clock.progress == pytest.approx(0.5)
    now[0] += 4.9
    clock.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    assert not trainer.should_stop
    now[0] += 0.2
    clock.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    assert trainer.should_stop
    assert clock.state_dict() == {"elapsed": pytest.approx(10.1)}
