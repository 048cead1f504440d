"""The average is that of the formula, is what validations and the model see, and goes on to the bit after a resume."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from tests.trainings import frozen
from tests.two_stages import TWO_STAGES
from visionkit.config.frozen import thaw
from visionkit.engine.checkpoint import network_state, read
from visionkit.engine.recipe import averaging
from visionkit.engine.recipe.averaging import EMA
from visionkit.engine.setup import Setup, set_up

AVERAGED = (*TWO_STAGES, "ema.decay=0.6")


def _setup(folder: Path, *overrides: str) -> Setup:
    run_dir = frozen(folder, *overrides)
    return set_up(thaw(run_dir), run_dir, progress_bar=False)


def _ema(setup: Setup) -> EMA:
    return next(callback for callback in setup.trainer.callbacks if isinstance(callback, EMA))


def _floats(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items() if value.is_floating_point()}


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class At(L.Callback):
    """Does something at one point of a training."""

    def __init__(self, **hooks: Callable[[L.Trainer, Any], None]) -> None:
        for name, do in hooks.items():
            setattr(self, name, lambda trainer, module, *_, do=do: do(trainer, module))


@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_average_is_that_of_the_formula(tmp_path: Path, accumulated: int) -> None:
    setup = _setup(tmp_path / "run", *AVERAGED, "epochs=3", f"trainer.accumulate_grad_batches={accumulated}")
    seen = {0: _floats(setup.module.network.state_dict())}

    def note(trainer: L.Trainer, module: Any) -> None:
        seen.setdefault(trainer.global_step, _floats(module.network.state_dict()))

    setup.trainer.callbacks.append(At(on_train_batch_end=note))
    setup.trainer.fit(setup.module, setup.data)
    expected = {name: value.double() for name, value in seen.pop(0).items()}
    assert len(seen) == {1: 15, 2: 9}[accumulated]
    for step, raw in seen.items():
        decay = min(0.6, (1 + step) / (10 + step))
        expected = {name: decay * expected[name] + (1 - decay) * value for name, value in raw.items()}
    assert _ema(setup).steps == len(seen)
    average = _ema(setup).state_dict()["average"]
    assert average.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(average[name].double(), value, rtol=1e-5, atol=1e-6)


def test_the_average_is_the_model_and_the_raw_weights_go_on(tmp_path: Path) -> None:
    shown: list[dict[str, Tensor]] = []
    averaged = _setup(tmp_path / "averaged", *AVERAGED, "epochs=1")
    averaged.trainer.callbacks.append(
        At(on_validation_batch_start=lambda _, module: shown.append(_floats(module.network.state_dict())))
    )
    plain = _setup(tmp_path / "plain", *AVERAGED, "ema.decay=null", "epochs=1")
    losses = []
    for setup in (averaged, plain):
        setup.trainer.fit(setup.module, setup.data)
        with (Path(setup.trainer.default_root_dir) / "metrics.csv").open() as file:
            losses.append({row["val/loss"] for row in csv.DictReader(file)} - {""})
    assert losses[0] != losses[1]
    assert _equal(averaged.module.network.state_dict(), plain.module.network.state_dict())
    average = _ema(averaged).state_dict()["average"]
    best, last = (read(tmp_path / f"averaged/checkpoints/{name}.ckpt") for name in ("best", "last"))
    assert _equal(shown[0], average)
    assert _equal(_floats(network_state(best)), average)
    assert _equal(network_state(last), averaged.module.network.state_dict())
    assert _equal(last["callbacks"]["EMA"]["average"], average)
    assert not _equal(_floats(network_state(last)), average)


def test_an_evaluation_behind_the_training_sees_what_was_loaded(tmp_path: Path) -> None:
    setup = _setup(tmp_path / "run", *AVERAGED)
    setup.trainer.fit(setup.module, setup.data)
    with torch.no_grad():
        for value in setup.module.network.parameters():
            value.fill_(0.25)
    shown = []
    setup.trainer.callbacks.append(
        At(on_validation_batch_start=lambda _, module: shown.append(next(module.network.parameters()).clone()))
    )
    setup.trainer.validate(setup.module, setup.data, verbose=False)
    assert shown
    assert all((value == 0.25).all() for value in shown)


def test_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    """Two batches a step: the first behind the resume ends none."""
    given = (*AVERAGED, "scheduler=constant", "scheduler.warmup=0.0", "trainer.accumulate_grad_batches=2")
    whole = _setup(tmp_path / "whole", *given, "epochs=4")
    half = _setup(tmp_path / "half", *given, "epochs=2")
    rest = _setup(tmp_path / "rest", *given, "epochs=4")
    whole.trainer.fit(whole.module, whole.data)
    half.trainer.fit(half.module, half.data)
    last = tmp_path / "half/checkpoints/last.ckpt"
    rest.trainer.fit(rest.module, rest.data, ckpt_path=last, weights_only=True)
    assert _ema(rest).steps == _ema(whole).steps == 12
    assert _equal(rest.module.network.state_dict(), whole.module.network.state_dict())
    assert _equal(_ema(rest).state_dict()["average"], _ema(whole).state_dict()["average"])


def test_a_checkpoint_of_a_validation_is_that_of_the_epochs_end(tmp_path: Path) -> None:
    def save(trainer: L.Trainer, module: Any) -> None:
        for alone in (True, False):
            trainer.save_checkpoint(tmp_path / f"{alone}.ckpt", weights_only=alone)

    setup = _setup(tmp_path / "run", *AVERAGED)
    setup.trainer.callbacks.append(At(on_validation_batch_end=save))
    setup.trainer.fit(setup.module, setup.data)
    best, last = (read(tmp_path / f"run/checkpoints/{name}.ckpt") for name in ("best", "last"))
    amid = read(tmp_path / "False.ckpt")
    assert _equal(network_state(read(tmp_path / "True.ckpt")), network_state(best))
    assert _equal(network_state(amid), network_state(last))
    assert _equal(amid["callbacks"]["EMA"]["average"], last["callbacks"]["EMA"]["average"])


def test_a_failure_in_a_validation_leaves_the_raw_weights(tmp_path: Path) -> None:
    raw: list[dict[str, Tensor]] = []

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    setup = _setup(tmp_path / "run", *AVERAGED)
    setup.trainer.callbacks.append(
        At(
            on_train_batch_end=lambda _, module: raw.append(_floats(module.network.state_dict())),
            on_validation_batch_end=fail,
        )
    )
    with pytest.raises(ZeroDivisionError):
        setup.trainer.fit(setup.module, setup.data)
    assert _equal(_floats(setup.module.network.state_dict()), raw[-1])


def test_ranks_take_the_statistics_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Tensor, int]] = []
    monkeypatch.setattr(averaging.distributed, "broadcast", lambda tensor, source: sent.append((tensor, source)))
    module: Any = SimpleNamespace(network=torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    ema = EMA(0.9)
    trainer: Any = SimpleNamespace(global_step=0, world_size=2, state=SimpleNamespace(fn="fit"))
    ema.on_train_start(trainer, module)
    expected = [ema.state_dict()["average"][f"1.running_{name}"] for name in ("mean", "var")]
    ema.on_validation_start(trainer, module)
    assert [source for _, source in sent] == [0, 0]
    assert all(tensor is other for (tensor, _), other in zip(sent, expected, strict=True))
