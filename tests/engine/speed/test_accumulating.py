"""A step over several batches follows the mean of their losses, at an epoch's end too."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from tests.trainings import frozen
from visionkit.config.frozen import thaw
from visionkit.engine.setup import set_up


class Steps(L.Callback):
    """Notes the batches of each step, the weights before it and the gradient that the optimizer gets."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = [[]]
        self.states: list[Any] = []
        self.grads: list[list[torch.Tensor]] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.batches[-1].append(batch)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: Any, optimizer: Any) -> None:
        self.states.append(copy.deepcopy(pl_module.network.state_dict()))
        self.grads.append([p.grad.clone() for p in pl_module.network.parameters() if p.grad is not None])
        self.batches.append([])


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_a_step_is_the_mean_of_its_batches(tmp_path: Path, one_thread: None, task: str) -> None:
    """Five batches in steps of two: the last step has one. A detector's losses are divided by counts that differ."""
    settings = (f"task={task}", "trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=null", "optimizer=sgd")
    run_dir = frozen(tmp_path / "run", *settings)
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    steps = Steps()
    setup.trainer.callbacks.append(steps)
    setup.trainer.fit(setup.module, setup.data)
    assert [len(batches) for batches in steps.batches] == [2, 2, 1, 0]
    assert setup.trainer.global_step == 3
    network = setup.module.network.train()
    ((name, head),) = network.heads.items()
    for batches, state, grads in zip(steps.batches, steps.states, steps.grads, strict=False):
        network.load_state_dict(state)
        network.zero_grad()
        for batch in batches:
            outputs = network(batch.images, batch.targets)
            (sum(head.loss(outputs[name], batch.targets).values()) / len(batches)).backward()
        expected = [p.grad for p in network.parameters() if p.grad is not None]
        torch.testing.assert_close(grads, expected, rtol=1e-4, atol=1e-6)
    with torch.no_grad():  # the first batch's loss, which hints compare with that of a guess, is no half
        network.load_state_dict(steps.states[0])
        batch = steps.batches[0][0]
        first = sum(head.loss(network(batch.images, batch.targets)[name], batch.targets).values())
    assert setup.history.first_loss == pytest.approx(float(first), rel=1e-4)
