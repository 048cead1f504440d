"""A signal is answered behind the step that it came in, by a checkpoint first, and with its exit code."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.survival.boring import STEPS, Numbers, saved, train
from visionkit.engine.survival import interrupt


def send(number: int, place: str, count: int) -> Callable[[str, int], None]:
    """Send this process a signal in one step."""

    def at(here: str, now: int) -> None:
        if (here, now) == (place, count):
            signal.raise_signal(number)

    return at


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_a_scheduler_gets_a_checkpoint_and_nothing_else(
    tmp_path: Path, number: int, code: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt.log, "propagate", True)
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, send(number, "train", 2))
    assert ended.value.code == code
    assert saved(tmp_path)["global_step"] == 2
    assert not (tmp_path / "checkpoints/best.ckpt").exists(), "it took the time to validate"
    assert f"stopped by {signal.Signals(number).name} after step 2" in caplog.text
    assert f"go on by the same command with resume={tmp_path}" in caplog.text


def test_ctrl_c_saves_before_it_validates(tmp_path: Path) -> None:
    steps_at_validation: list[int] = []

    def at(place: str, count: int) -> None:
        if (place, count) == ("train", 2):
            signal.raise_signal(signal.SIGINT)
        if place == "val":
            steps_at_validation.append(saved(tmp_path)["global_step"])

    ended, module = train(tmp_path, at)
    assert ended.pressed
    assert module.counts == {"train": 2, "val": STEPS}
    assert set(steps_at_validation) == {2}
    loops = saved(tmp_path)["loops"]["fit_loop"]["epoch_progress"]
    assert loops["current"]["processed"] == 0, "the epoch that was broken off counts as done"


@pytest.mark.parametrize("place", [("train", STEPS), ("val", 1), ("val", STEPS)])
def test_a_signal_at_the_end_of_an_epoch_is_answered_behind_it(tmp_path: Path, place: tuple[str, int]) -> None:
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, send(signal.SIGTERM, *place))
    assert ended.value.code == 143
    last = saved(tmp_path)
    assert last["global_step"] == STEPS
    assert last["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] == 1
    assert (tmp_path / "checkpoints/best.ckpt").exists(), "the epoch's validation is lost"


def test_a_signal_in_the_last_validation_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, send(signal.SIGTERM, "val", 2 * STEPS))
    assert ended.value.code == 143
    assert saved(tmp_path)["global_step"] == 2 * STEPS


def test_ctrl_c_in_a_validation_lets_no_epoch_begin(tmp_path: Path) -> None:
    ended, module = train(tmp_path, send(signal.SIGINT, "val", 1))
    assert ended.pressed
    assert module.counts == {"train": STEPS, "val": STEPS}
    assert saved(tmp_path)["global_step"] == STEPS


def test_a_signal_while_gradients_are_summed_waits_for_the_step(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        train(tmp_path, send(signal.SIGTERM, "train", 1), accumulate_grad_batches=2)
    last = saved(tmp_path)
    assert last["global_step"] == 1
    assert last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"] == 2


def test_sigterm_after_ctrl_c_takes_its_place(tmp_path: Path) -> None:
    def at(place: str, count: int) -> None:
        if (place, count) == ("train", 2):
            signal.raise_signal(signal.SIGINT)
        if (place, count) == ("val", 1):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        train(tmp_path, at)
    assert ended.value.code == 143
    assert saved(tmp_path)["global_step"] == 2


def test_ctrl_c_twice_leaves_at_once(tmp_path: Path) -> None:
    def at(place: str, count: int) -> None:
        if (place, count) in {("train", 2), ("val", 1)}:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit) as ended:
        train(tmp_path, at)
    assert ended.value.code == 130
    assert saved(tmp_path)["global_step"] == 2
    assert not (tmp_path / "checkpoints/best.ckpt").exists()


def test_before_the_first_step_a_signal_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Numbers, "on_train_start", lambda _: signal.raise_signal(signal.SIGTERM), raising=False)
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, lambda *_: None)
    assert ended.value.code == 143
    assert not (tmp_path / "checkpoints").exists()


def test_behind_the_training_a_signal_ends_at_once(tmp_path: Path) -> None:
    ended, _ = train(tmp_path, lambda *_: None)
    assert saved(tmp_path)["global_step"] == 2 * STEPS
    with ended.signals, pytest.raises(SystemExit) as code:
        signal.raise_signal(signal.SIGUSR1)
    assert code.value.code == 138
