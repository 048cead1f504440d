"""What only a GPU can show: mixed precisions with clipped fused steps, and memory that is not held."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainings import frozen
from visionkit.config.frozen import thaw
from visionkit.engine.setup import Setup, set_up

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]


def trained(run_dir: Path, *overrides: str) -> Setup:
    setup = set_up(thaw(frozen(run_dir, "trainer=gpu", *overrides)), run_dir, progress_bar=False)
    setup.trainer.fit(setup.module, setup.data)
    return setup


@pytest.mark.parametrize("precision", ["auto", "16-mixed", "32"])
def test_it_learns_in_each_precision(tmp_path: Path, precision: str) -> None:
    setup = trained(tmp_path / "run", f"trainer.precision={precision}", "epochs=4")
    assert setup.history.losses[-1] < setup.history.losses[0]
    assert all(p.isfinite().all() and p.dtype == torch.float32 for p in setup.module.parameters())
    assert setup.trainer.optimizers[0].param_groups[0]["fused"]
    assert torch.backends.cudnn.benchmark


def test_stages_that_are_computed_again_hold_less(tmp_path: Path) -> None:
    peaks = []
    for name in ("false", "true"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        settings = ("backbone=resnet18", "data.size=224", "data.batch_size=16", f"activation_checkpointing={name}")
        trained(tmp_path / name, *settings)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < 0.8 * peaks[0]


def test_compiled_is_the_same_training(tmp_path: Path) -> None:
    settings = ("optimizer=sgd", "optimizer.lr=1e-3", "trainer.precision=32")
    one, other = (trained(tmp_path / name, *settings, f"compile={name}") for name in ("true", "false"))
    assert one.history.losses == pytest.approx(other.history.losses, rel=1e-2)  # TF32
