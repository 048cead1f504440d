"""Gradients are clipped, and a training ends early, as the trainer's and the callbacks' settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from tests.trainings import OWN_BACKBONE, frozen
from tests.two_stages import TWO_STAGES
from visionkit.config.frozen import thaw
from visionkit.engine.setup import Setup, set_up


def _setup(folder: Path, *overrides: str) -> Setup:
    run_dir = frozen(folder, *overrides)
    return set_up(thaw(run_dir), run_dir, progress_bar=False)


class Gradients(L.Callback):
    """Notes what is left of the gradients at each step of the optimizer."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.largest: list[float] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.optimizers[0].register_step_post_hook(self._note)

    def _note(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        left = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        self.norms.append(float(torch.cat(left).norm()))
        self.largest.append(float(torch.cat(left).abs().max()))


@pytest.mark.parametrize(
    ("clipping", "norm", "largest"),
    [
        (["trainer.gradient_clip_val=0.02"], 0.02, None),
        (["trainer.gradient_clip_val=0.02", "trainer.gradient_clip_algorithm=value"], None, 0.02),
        (["trainer.gradient_clip_val=null"], None, None),
    ],
)
def test_gradients_are_clipped(tmp_path: Path, clipping: list[str], norm: float | None, largest: float | None) -> None:
    setup = _setup(tmp_path / "run", *TWO_STAGES, *clipping)
    setup.trainer.callbacks.append(seen := Gradients())
    setup.trainer.fit(setup.module, setup.data)
    assert len(seen.norms) == 5
    if norm is not None:
        assert seen.norms == pytest.approx([norm] * 5, rel=1e-4)
    elif largest is not None:
        assert seen.largest == pytest.approx([largest] * 5)
        assert min(seen.norms) > 2 * largest
    else:
        assert min(seen.largest) > 0.02


def test_a_training_without_a_rise_ends_early_and_waits_on_after_a_resume(tmp_path: Path) -> None:
    """At a rate of nearly nothing the first of the validations stays the best."""
    given = (
        *OWN_BACKBONE, "optimizer=sgd", "optimizer.lr=1e-12", "callbacks=early_stopping",
        "callbacks.early_stopping.patience=3",
    )  # fmt: skip
    whole = _setup(tmp_path / "whole", *given, "epochs=9")
    whole.trainer.fit(whole.module, whole.data)
    assert whole.trainer.current_epoch == 4
    half = _setup(tmp_path / "half", *given, "epochs=3")
    half.trainer.fit(half.module, half.data)
    rest = _setup(tmp_path / "rest", *given, "epochs=9")
    rest.trainer.fit(rest.module, rest.data, ckpt_path=tmp_path / "half/checkpoints/last.ckpt", weights_only=True)
    assert rest.trainer.current_epoch == 4
