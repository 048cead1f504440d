"""What only a GPU can show: precisions, memory, and a training there from its first step to a model that is shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

import visionkit
from tests.conftest import Run
from tests.dying import DIES
from tests.engine.survival.test_going_on import assert_same, die
from tests.trainings import frozen
from visionkit.config.frozen import plain, thaw
from visionkit.engine.checkpoint import load_model
from visionkit.engine.evaluation import measure
from visionkit.engine.fit import fit
from visionkit.engine.setup import Setup, set_up
from visionkit.engine.survival.memory import OutOfMemoryError
from visionkit.engine.tuning import batch
from visionkit.engine.worker import work

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]

GPU = "trainer=gpu"


def trained(run_dir: Path, *overrides: str) -> Setup:
    setup = set_up(thaw(frozen(run_dir, GPU, *overrides)), run_dir, progress_bar=False)
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
        settings = ("backbone=resnet18", "data.size=224", "data.batch_size=64", f"activation_checkpointing={name}")
        trained(tmp_path / name, *settings, "data.num_scenes=200")
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < 0.85 * peaks[0]


def test_compiled_is_the_same_training(tmp_path: Path) -> None:
    settings = ("optimizer=sgd", "optimizer.lr=1e-3", "trainer.precision=32")
    one, other = (trained(tmp_path / name, *settings, f"compile={name}") for name in ("true", "false"))
    assert one.history.losses == pytest.approx(other.history.losses, rel=1e-2)  # TF32


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation", "multitask"])
def test_a_model_gives_the_same_wherever_it_runs(tmp_path: Path, task: str) -> None:
    """The training measures in bf16 on the GPU, `evaluate` in float32 there and on the CPU."""
    run_dir = frozen(tmp_path / "run", GPU, f"task={task}", "epochs=3", "data.num_scenes=400")
    fit(run_dir)
    result = json.loads((run_dir / "result.json").read_text())
    best = run_dir / "checkpoints/best.ckpt"
    data = plain(thaw(run_dir))["data"]
    on_gpu, on_cpu = (measure(load_model(best), data, "val", device)[0] for device in ("cuda", "cpu"))
    assert on_gpu
    for name, value in on_gpu.items():
        assert value == pytest.approx(on_cpu[name], abs=0.03), name
        assert value == pytest.approx(result["metrics"][name], abs=0.05), name
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    outputs = [visionkit.load(best, device).network for device in ("cuda", "cpu")]
    images = torch.from_numpy(image)[None, :32, :32].permute(0, 3, 1, 2)
    with torch.inference_mode():
        theirs, own = outputs[0](images.cuda()), outputs[1](images)
    for head, output in own.items():
        for one, other in zip(tree_leaves(output), tree_leaves(theirs[head]), strict=True):
            torch.testing.assert_close(one, other.cpu(), rtol=2e-2, atol=2e-2)  # TF32


def test_a_killed_training_goes_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the scale of the loss and how long it has held."""
    settings = (
        GPU, DIES, "resume=auto", "epochs=4", "save_every=1", "data.workers=2", "ema.decay=0.9",
        "trainer.precision=16-mixed", "trainer.deterministic=true", "trainer.log_every_n_steps=1",
    )  # fmt: skip
    straight, killed = (frozen(tmp_path / name, *settings) for name in ("straight", "killed"))
    fit(straight)
    assert die(killed, 7, monkeypatch) == 7
    scaler = torch.load(killed / "checkpoints/last.ckpt", weights_only=True)["MixedPrecision"]
    assert scaler["_growth_tracker"] > 0
    fit(killed)
    assert_same(straight, killed)


@pytest.fixture
def small_card() -> Iterator[None]:
    """Let torch use one GiB of the GPU."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2**30 / torch.cuda.get_device_properties(0).total_memory)
    yield
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.0)


LARGE = ("backbone=resnet50", "data.size=224", "data.num_scenes=400", "data.batch_size=64")


def test_memory_that_ends_says_what_to_lower(tmp_path: Path, small_card: None) -> None:
    with pytest.raises(OutOfMemoryError, match=r"data\.batch_size=32 trainer\.accumulate_grad_batches=2") as error:
        fit(frozen(tmp_path / "run", GPU, *LARGE))
    assert "CUDA out of memory" in str(error.value)


def test_the_largest_batch_that_fits_is_found(
    tmp_path: Path, small_card: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "SECONDS", 0.0)
    run_dir = frozen(tmp_path / "run", GPU, *LARGE, "tune=batch", "data.batch_size=4", "data.workers=0")
    work(run_dir)
    found = json.loads((run_dir / "batch.json").read_text())
    tried = [row["batch_size"] for row in found["rows"]]
    assert 4 <= found["suggestion"] < found["does_not_fit"] <= 128
    assert found["suggestion"] in tried
    assert all(0 < row["peak_memory"] < 2**30 for row in found["rows"])


@pytest.mark.parametrize("given", ["trainer=ddp", "trainer=ddp compile=true", "trainer=fsdp"])
def test_settings_of_several_gpus_train_on_one(command: Run, tmp_path: Path, given: str) -> None:
    small = ("data.num_scenes=40", "data.size=32", "data.batch_size=8", "epochs=2")
    done = command("train", *given.split(), "trainer.devices=1", *small, "run_dir=run")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert np.isfinite(result["metrics"]["val/loss"])
    assert visionkit.load(tmp_path / "run/checkpoints/best.ckpt", "cuda").network is not None
