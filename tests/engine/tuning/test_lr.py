"""The range test in a training: on a quadratic, and on networks from their frozen configs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tests.trainings import frozen
from visionkit.config.frozen import thaw
from visionkit.engine.setup import Setup, set_up
from visionkit.engine.tuning import lr, trial
from visionkit.engine.tuning.lr import RangeTest
from visionkit.engine.tuning.rule import rates
from visionkit.engine.worker import work

FEW = tuple(10.0**decade for decade in range(-6, 2))


class Batch(NamedTuple):
    images: Tensor


class Quadratic(L.LightningModule):
    """The loss curvature / 2 * w^2, a schedule that would keep the rate at a hundredth, and two groups."""

    def __init__(self, curvature: float) -> None:
        super().__init__()
        self.curvature = curvature
        self.weight = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))
        self.idle = nn.Parameter(torch.tensor(1.0))
        self.seen: list[tuple[float, ...]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        (optimizer,) = self.trainer.optimizers
        self.seen.append(tuple(group["lr"] for group in optimizer.param_groups))
        return self.curvature / 2 * self.weight**2 + 0 * self.idle

    def configure_optimizers(self) -> Any:
        groups = [{"params": [self.weight]}, {"params": [self.idle], "lr": 0.05 * 0.3}]
        optimizer = torch.optim.SGD(groups, lr=0.05)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.01)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def sweep(module: Any, batches: int = 1000, callbacks: tuple[L.Callback, ...] = (), **trainer: Any) -> RangeTest:
    """Run the test on a module whose configured rate is 0.05; `batches` is the length of its epochs."""
    node = {"_target_": "lightning.Trainer", "accelerator": "cpu", "devices": 1, **trainer}
    data: Any = DataLoader([0] * batches, batch_size=1, collate_fn=lambda _: Batch(torch.zeros(1)))
    known: dict[str, Any] = dict.fromkeys(Setup._fields)
    before = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=list(callbacks))
    setup = Setup(**{**known, "config": {"trainer": node}, "data": data, "module": module, "trainer": before})
    test = RangeTest(0.05)
    trial.run(setup, test)
    return test


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_quadratic_turns_up_at_its_stable_limit(accumulate: int) -> None:
    module = Quadratic(2 / 0.03)
    test = sweep(module, accumulate_grad_batches=accumulate, max_epochs=1, limit_val_batches=3)
    curve = test.curve()
    assert curve.start == pytest.approx(9 / 0.03)  # accumulation divides the loss, which is undone
    lowest = min(range(len(curve.losses)), key=curve.losses.__getitem__)
    assert curve.rates[lowest] < 0.03 < curve.rates[lowest + 1]  # each loss lies at the rate of the step before it
    assert curve.diverged == curve.rates[-1]
    assert module.seen[::accumulate] == [
        pytest.approx((rate, 0.3 * rate)) for rate in rates()[: len(module.seen) // accumulate]
    ]


def test_epochs_that_are_shorter_than_the_test() -> None:
    # Seven batches, two a step: the last step of each epoch has but one.
    test = sweep(Quadratic(2 / 0.03), batches=7, accumulate_grad_batches=2)
    lowest = min(range(len(test.losses) - 1), key=test.curve().losses.__getitem__)
    assert test.rates[lowest] < 0.03 < test.rates[lowest + 1]


def test_it_ends_after_the_last_rate() -> None:
    test = sweep(Quadratic(1e-3))
    assert test.diverged is None
    assert test.curve().rates == rates()
    assert len(test.losses) == len(rates()) + 1


def test_a_loss_that_is_no_number_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Quadratic(1.0)
    step = module.training_step
    monkeypatch.setattr(
        module, "training_step", lambda batch, batch_idx: step(batch, batch_idx) * (math.nan if batch_idx >= 5 else 1)
    )
    test = sweep(module)
    assert len(test.losses) == 6
    curve = test.curve()
    assert len(curve.losses) == len(curve.rates) == 4
    assert curve.diverged == rates()[4]


class Loud(L.Callback):
    """A callback of the config's own, which has no say."""

    def on_train_start(self, *_: Any) -> None:
        raise AssertionError("was called")


def test_callbacks_of_the_config_are_left_out() -> None:
    assert sweep(Quadratic(1e-3), callbacks=(Loud(),)).losses


def test_ctrl_c_leaves_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Quadratic(1.0)

    def pressed(*_: object) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "training_step", pressed)
    with pytest.raises(SystemExit) as ended:
        sweep(module)
    assert ended.value.code == 130


def test_groups_keep_the_ratio_of_their_rates() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": value} for value in (0.2, 0.02)]
    optimizer = torch.optim.SGD(groups, lr=0.2)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0)  # a warm-up from nothing
    trainer: Any = SimpleNamespace(
        optimizers=[optimizer], strategy=SimpleNamespace(lr_scheduler_configs=[1]), global_step=3
    )
    test = RangeTest(0.2)
    test.on_train_start(trainer, Any)
    test.on_train_batch_start(trainer, Any, None, 0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rates()[3], rates()[3] / 10])
    assert trainer.strategy.lr_scheduler_configs == []


def test_a_network_is_tuned_from_its_frozen_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = ("data=sklearn_digits", "data.size=32", "data.batch_size=16", "trainer=cpu", "seed=3")
    run_dir = frozen(tmp_path / "run", *overrides, "tune=lr", "callbacks=early_stopping", small=False)
    assert work(run_dir) is None
    assert sorted(path.name for path in run_dir.iterdir()) == ["config.yaml", "lr.json", "lr.svg", "train.log"]
    assert list(tmp_path.iterdir()) == [run_dir]
    found = json.loads((run_dir / "lr.json").read_text())
    assert 1e-4 < found["suggestion"] < 0.1
    assert found["suggestion"] * 3 == pytest.approx(found["lowest"]["rate"], rel=0.05)
    assert found["lowest"]["loss"] < 0.7 * found["start"]
    assert (found["configured"], found["batch_size"], found["seed"]) == (4e-3, 16, 3)
    assert found["rates"] == list(rates()[: len(found["losses"])])
    assert found["command"].endswith(f"optimizer.lr={found['suggestion']:g}")
    said = capsys.readouterr().out
    assert found["command"] in said
    assert "batches of 16: with another data.batch_size, tune it again" in said
    # It began as the training would.
    setup = set_up(thaw(frozen(tmp_path / "other", *overrides, small=False)), tmp_path, progress_bar=False)
    first = next(iter(setup.data.train_dataloader()))
    outputs = setup.module.network(first.images, first.targets)
    (head,) = setup.module.network.heads.values()
    assert float(sum(head.loss(*outputs.values(), first.targets).values())) == pytest.approx(found["start"], rel=1e-4)


def test_what_is_frozen_does_not_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr, "rates", lambda: FEW)
    run_dir = frozen(tmp_path / "run", "tune=lr", "freeze.stages=1")
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    before = {name: tensor.clone() for name, tensor in setup.module.network.backbone.named_parameters()}
    lr.tune(setup, run_dir)
    after = dict(setup.module.network.backbone.named_parameters())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    first = {name for name in before if setup.module.network.backbone.level_of(name) == 0}
    assert first
    assert moved == set(before) - first


def test_all_heads_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr, "rates", lambda: FEW[:5])
    run_dir = frozen(tmp_path / "run", "tune=lr", "task=multitask", "data.num_scenes=16")
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    before = {name: tensor.clone() for name, tensor in setup.module.network.heads.named_parameters()}
    lr.tune(setup, run_dir)
    after = dict(setup.module.network.heads.named_parameters())
    assert len({name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}) > 1
    assert json.loads((run_dir / "lr.json").read_text())["start"] > 2


def test_levels_keep_their_factors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr, "rates", lambda: FEW[:4])
    run_dir = frozen(tmp_path / "run", "tune=lr", "layer_decay=0.5", "scheduler.warmup=0.9")
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    lr.tune(setup, run_dir)
    (optimizer,) = setup.module.trainer.optimizers
    factors = {group["factor"]: group["lr"] for group in optimizer.param_groups}
    assert len(factors) > 2
    assert factors == {factor: pytest.approx(FEW[3] * factor) for factor in factors}
