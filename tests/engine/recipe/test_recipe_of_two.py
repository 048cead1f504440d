"""Two processes average, slow down and free what one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainings import frozen, train_in_two
from visionkit.engine.checkpoint import network_state, read
from visionkit.engine.fit import fit


@pytest.mark.slow
def test_two_processes_end_with_the_same(tmp_path: Path) -> None:
    """Plain SGD on a network without batch statistics, which of halves are not those of the whole."""
    given = (
        "backbone=lenet", "optimizer=sgd", "optimizer.lr=0.01", "trainer.gradient_clip_val=null", "data.num_scenes=44",
        "epochs=4", "ema.decay=0.9", "scheduler=plateau", "scheduler.patience=1", "layer_decay=0.5",
        "freeze.stages=all", "freeze.until_epoch=[1,2]",
    )  # fmt: skip
    alone = frozen(tmp_path / "alone", *given)
    pair = frozen(tmp_path / "pair", *given, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    fit(alone)
    train_in_two(pair)
    one, two = (read(run / "checkpoints/last.ckpt") for run in (alone, pair))
    average, other = (state["callbacks"]["EMA"]["average"] for state in (one, two))
    assert average.keys() == other.keys()
    for name, value in average.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    assert one["callbacks"]["EMA"]["steps"] == two["callbacks"]["EMA"]["steps"] == one["global_step"]
    assert any(not torch.equal(value, network_state(two)[name]) for name, value in other.items())
    assert two["callbacks"]["Watch"] == one["callbacks"]["Watch"]
    assert one["callbacks"]["Watch"]["lowered"] < 1
    rates = [[group["lr"] for group in state["optimizer_states"][0]["param_groups"]] for state in (one, two)]
    assert rates[0] == rates[1]
