"""The best checkpoint is the best one, and of equal ones the latest; the last one is written when it is time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from visionkit.engine.survival.saving import Best, Last


@pytest.mark.parametrize(("value", "kept"), [(0.5, True), (0.5001, True), (0.4999, False)])
def test_equal_counts_as_better(tmp_path: Any, value: float, kept: bool) -> None:
    best = Best(tmp_path, "best", monitor="val/x", mode="max", save_top_k=1)
    best.best_k_models = {"best.ckpt": torch.tensor(0.5)}
    best.kth_best_model_path = "best.ckpt"
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=lambda decision: decision))
    assert bool(best.check_monitor_top_k(trainer, torch.tensor(value))) is kept


@pytest.mark.filterwarnings("error")
def test_the_best_so_far_is_known_where_the_folder_was_moved_to(tmp_path: Path) -> None:
    before, after = (Best(tmp_path / name, "best", monitor="val/x", mode="max") for name in ("before", "after"))
    path = str(tmp_path / "before/best.ckpt")
    before.best_model_path = before.kth_best_model_path = path
    before.best_k_models = {path: torch.tensor(0.5)}
    before.best_model_score = before.kth_value = torch.tensor(0.5)
    after.load_state_dict(before.state_dict())
    moved = str(tmp_path / "after/best.ckpt")
    assert (after.best_model_path, after.kth_best_model_path) == (moved, moved)
    assert after.best_k_models == {moved: torch.tensor(0.5)}
    assert after.best_model_score == 0.5


def test_a_best_that_nothing_was_saved_of_is_known(tmp_path: Path) -> None:
    best = Best(tmp_path, "best", monitor="val/x", mode="max")
    best.load_state_dict(Best(tmp_path, "best", monitor="val/x", mode="max").state_dict())
    assert (best.best_model_path, best.best_k_models) == ("", {})


class Training:
    """Steps of an epoch without end, and those behind which a checkpoint was written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, every: int | str | None, **fields: Any) -> None:
        self.now = 100.0
        self.saved: list[int] = []
        monkeypatch.setattr("visionkit.engine.survival.saving.time.perf_counter", lambda: self.now)
        self.trainer: Any = SimpleNamespace(
            global_step=0, should_stop=False, is_last_batch=False, val_check_batch=1000, world_size=1,
            fit_loop=SimpleNamespace(total_batch_idx=-1), strategy=SimpleNamespace(broadcast=lambda value: value),
            save_checkpoint=lambda path: self.saved.append(self.trainer.global_step),
        )  # fmt: skip
        vars(self.trainer).update(fields)
        self.last = Last("", every)
        self.last.on_train_start(self.trainer, None)  # type: ignore[arg-type]

    def batch(self, *, seconds: float = 1.0, steps: bool = True, **fields: Any) -> None:
        vars(self.trainer).update(fields)
        self.now += seconds
        self.trainer.global_step += steps
        self.trainer.fit_loop.total_batch_idx += 1
        index = self.trainer.fit_loop.total_batch_idx
        self.last.on_train_batch_end(self.trainer, None, None, None, index)  # type: ignore[arg-type]


def test_every_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 3, global_step=10)
    for _ in range(7):
        training.batch()
    assert training.saved == [13, 16]


def test_every_so_many_seconds_since_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, "10s")
    for _ in range(3):
        training.batch(seconds=6)
    training.batch(seconds=3)
    training.batch(seconds=1)
    assert training.saved == [2, 5]


def test_never_within_an_epoch_without_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, None)
    training.batch(seconds=1e9)
    assert not training.saved


def test_several_processes_believe_the_first_and_do_not_ask_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    strategy = SimpleNamespace(broadcast=lambda own: asked.append(own) or len(asked) == 2)
    training = Training(monkeypatch, "10s", world_size=2, strategy=strategy)
    for _ in range(25):
        training.batch(seconds=100)
    assert asked == [True, True]
    assert training.saved == [20]


def test_gradients_that_are_being_summed_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop too, even of one who says so once."""
    training = Training(monkeypatch, "1s")
    training.batch()
    training.batch(steps=False, should_stop=True)
    assert not training.trainer.should_stop
    training.batch()
    assert training.trainer.should_stop
    assert training.saved == [1, 2]


def test_a_stop_is_saved_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not once more when the training has ended: its last epoch then counts as a whole one."""
    training = Training(monkeypatch, None)
    training.batch(should_stop=True)
    training.last.on_train_end(training.trainer, None)  # type: ignore[arg-type]
    assert training.saved == [1]


def test_validations_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of an epoch as in its middle: resumed before, the run would leave them out."""
    training = Training(monkeypatch, 1, val_check_batch=2)
    for _ in range(4):
        training.batch()
    training.batch(is_last_batch=True)
    assert training.saved == [1, 3]
    training.last.on_train_epoch_start(training.trainer, None)  # type: ignore[arg-type]
    assert training.saved == [1, 3, 5]
