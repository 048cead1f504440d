"""The best checkpoint is the best one, and of equal ones the latest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from visionkit.engine.survival.saving import Best


@pytest.mark.parametrize(("value", "kept"), [(0.5, True), (0.5001, True), (0.4999, False)])
def test_equal_counts_as_better(tmp_path: Any, value: float, kept: bool) -> None:
    best = Best(tmp_path, "best", monitor="val/x", mode="max", save_top_k=1)
    best.best_k_models = {"best.ckpt": torch.tensor(0.5)}
    best.kth_best_model_path = "best.ckpt"
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=lambda decision: decision))
    assert bool(best.check_monitor_top_k(trainer, torch.tensor(value))) is kept
