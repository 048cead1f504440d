"""The same run is the same: whatever the workers, the processes or the day."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainings import OWN_BACKBONE, frozen, train_in_two
from visionkit.engine.checkpoint import network_state, read
from visionkit.engine.fit import fit


def weights(run_dir: Path) -> dict[str, Tensor]:
    return network_state(read(run_dir / "checkpoints" / "last.ckpt"))


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_the_frozen_file_alone_repeats_the_run(tmp_path: Path, task: str) -> None:
    first = frozen(tmp_path / "first", f"task={task}")
    fit(first)
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(first / "config.yaml", again)
    fit(again)
    assert_equal(weights(first), weights(again))
    assert (first / "metrics.csv").read_text() == (again / "metrics.csv").read_text()


def test_workers_change_nothing(tmp_path: Path) -> None:
    runs = [frozen(tmp_path / str(n), "task=segmentation", "epochs=2", f"data.workers={n}") for n in (0, 2)]
    for run in runs:
        fit(run)
    assert_equal(weights(runs[0]), weights(runs[1]))


def test_another_seed_changes_the_run(tmp_path: Path) -> None:
    runs = [frozen(tmp_path / str(n), f"seed={n}") for n in (0, 1)]
    for run in runs:
        fit(run)
    one, other = (weights(run) for run in runs)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    """Plain SGD on a network without batch statistics: the gradients of two halves are those of the whole."""
    settings = (
        "task=detection", "optimizer=sgd", "optimizer.lr=0.001", "epochs=2", "data.num_scenes=44",
        "trainer.gradient_clip_val=null", *OWN_BACKBONE,
    )  # fmt: skip
    alone = frozen(tmp_path / "alone", *settings)
    pair = frozen(tmp_path / "pair", *settings, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    fit(alone)
    train_in_two(pair)
    one, two = weights(alone), weights(pair)
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    results = [json.loads((run / "result.json").read_text()) for run in (alone, pair)]
    assert results[1]["metrics"] == pytest.approx(results[0]["metrics"], abs=1e-4)
    assert results[1]["trivial"] == results[0]["trivial"]
