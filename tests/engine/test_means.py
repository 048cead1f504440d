"""Means of losses count images, survive a checkpoint, and leave the curves of single steps beside them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from tests.trainings import frozen
from visionkit.config.frozen import thaw
from visionkit.engine import means
from visionkit.engine.means import Means, Running
from visionkit.engine.setup import set_up


class Watch(L.Callback):
    """Notes what each step of a training returns, and the learning rate that its optimizer uses."""

    def __init__(self) -> None:
        self.losses: list[tuple[float, int]] = []
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append((float(outputs["terms"]["train/loss"]), len(batch.images)))


def columns(run_dir: Path, *names: str) -> list[tuple[float, ...]]:
    """Return the rows of metrics.csv that have all of some columns."""
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [tuple(float(row[name]) for name in names) for row in rows if all(row.get(name) for name in names)]


def trained(run_dir: Path, *overrides: str) -> Watch:
    setup = set_up(thaw(frozen(run_dir, *overrides)), run_dir, progress_bar=False)
    watch = Watch()
    setup.trainer.callbacks.append(watch)
    setup.trainer.fit(setup.module, setup.data)
    return watch


def test_a_mean_counts_images() -> None:
    running = Running()
    running.add({"a": torch.tensor(1.0, requires_grad=True), "b": torch.tensor(10.0, dtype=torch.bfloat16)}, 8)
    running.add({"a": torch.tensor(4.0), "b": torch.tensor(40.0)}, 2)
    sums, images = running.of_all_ranks()
    assert (running.names, images) == (["a", "b"], 10)
    assert sums.tolist() == [16, 160]
    assert sums.dtype == torch.float32
    assert not sums.requires_grad


def test_an_epoch_s_means_and_the_curves(tmp_path: Path) -> None:
    """Of a detector, as it has several terms.

    Two batches a step: the last of an epoch ends a step too, alone.
    """
    run_dir = tmp_path / "run"
    watch = trained(
        run_dir, "task=detection", "epochs=2", "trainer.accumulate_grad_batches=2", "trainer.log_every_n_steps=2"
    )
    batches = len(watch.losses) // 2
    expected = []
    for epoch in (watch.losses[:batches], watch.losses[batches:]):
        expected.append(sum(loss * images for loss, images in epoch) / sum(images for _, images in epoch))
    rows = columns(run_dir, "train/loss", "train/box", "train/class", "train/centerness")
    assert [row[0] for row in rows] == pytest.approx(expected, abs=1e-5)
    assert [row[0] for row in rows] == pytest.approx([sum(row[1:]) for row in rows], abs=1e-5)
    assert len(columns(run_dir, "val/loss", "val/box")) == 2

    steps = len(watch.rates)
    assert steps == 2 * -(-batches // 2)
    ends = [i for i in range(len(watch.losses)) if i % batches % 2 == 1 or i % batches == batches - 1]
    curve = columns(run_dir, "step", "lr", "train/loss_step")
    assert [row[0] for row in curve] == list(range(1, steps, 2))
    assert [row[1] for row in curve] == pytest.approx(watch.rates[1::2], rel=1e-6)
    assert [row[2] for row in curve] == pytest.approx([watch.losses[i][0] for i in ends][1::2], rel=1e-6)


def test_a_validation_in_the_middle_leaves_the_epoch_s_mean(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    watch = trained(run_dir, "+trainer.val_check_interval=2")
    images = sum(count for _, count in watch.losses)
    expected = sum(loss * count for loss, count in watch.losses) / images
    assert columns(run_dir, "train/loss") == [(pytest.approx(expected, abs=1e-5),)]
    assert len(columns(run_dir, "val/loss")) == len(watch.losses) // 2


def test_what_is_summed_goes_through_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two processes takes half of what both had summed."""
    before = Means()
    assert before.state_dict() == {}
    before._train.add({"train/loss": torch.tensor(3.0)}, 6)
    state = before.state_dict()
    after = Means()
    after.load_state_dict(state)
    after._train.add({"train/loss": torch.tensor(1.0)}, 2)
    assert after.state_dict() == {"names": ["train/loss"], "sums": torch.tensor([20.0]), "images": 8}
    monkeypatch.setattr(means, "world_size", lambda: 2)
    share = Means()
    share.load_state_dict(state)
    assert (share._train.sums, share._train.images) == (torch.tensor([9.0]), 3)
