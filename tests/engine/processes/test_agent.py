"""Several processes of one machine: one message, one exit code, and the right settings in each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import lightning as L
import pytest
import torch

from tests.conftest import Run
from tests.trainings import SMALL, frozen
from visionkit.engine.checkpoint import load_model
from visionkit.engine.launch import run_worker

TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


class Note(L.Callback):
    """Leaves in the run's folder how a process trains."""

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        found = {"strategy": type(trainer.strategy).__name__, "processes": trainer.world_size}
        Path(trainer.default_root_dir, f"rank{trainer.global_rank}.json").write_text(json.dumps(found))


@pytest.mark.slow
def test_an_error_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_dir = frozen(tmp_path / "run", "task=detection", "data=sklearn_digits", *TWO, small=False)
    assert run_worker(run_dir, 2) == 2
    said = capfd.readouterr().err.strip()
    assert (
        said
        == "error: task=detection needs boxes, but data=sklearn_digits has image labels: it serves task=classification"
    )


class Spoil(L.Callback):
    """Lets the loss of the second process be no number in the fourth step."""

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 3:
            next(pl_module.parameters()).data.fill_(torch.nan)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_in_one_of_two_ends_both(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The other one neither steps nor waits; what is told and kept is of the one that has it."""
    spoil = "+callbacks.spoil._target_=tests.engine.processes.test_agent.Spoil"
    run_dir = frozen(tmp_path / "run", *TWO, "epochs=2", "save_every=1", spoil)
    assert run_worker(run_dir, 2) == 2
    said = capfd.readouterr().err
    assert said.count("the loss is nan in epoch 1, step 4") == 1
    assert (run_dir / "nan_batch_1.pt").is_file()
    assert not (run_dir / "nan_batch_0.pt").exists()
    checkpoint = torch.load(run_dir / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 3
    assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())


@pytest.mark.slow
def test_a_sweep_trains_each_trial_in_two(command: Run, tmp_path: Path) -> None:
    done = command(
        "train", "-m", *SMALL[:-1], "trainer=ddp,fsdp", *TWO[1:], "optimizer=sgd", "optimizer.lr=0.01", "run_dir=mine",
        "backbone=convnet", "backbone.norm=group", "task=segmentation", "head=fcn",
        "+callbacks.note._target_=tests.engine.processes.test_agent.Note", PYTHONPATH=str(Path.cwd()),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "mine" / "trials.csv").open(encoding="utf-8") as file:
        assert sorted(row["state"] for row in csv.DictReader(file)) == ["done", "done"]
    folders = [tmp_path / "mine" / name for name in "01"]
    for folder, strategy in zip(folders, ("DDPStrategy", "Sharded"), strict=True):
        notes = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
        assert notes == [{"strategy": strategy, "processes": 2}] * 2
        assert (folder / "train.log").read_text().count("epoch   1 ") == 1
        assert (folder / "pictures" / "predictions.png").is_file()
    assert not (tmp_path / "mine" / "2").exists(), "a rank of its own began a sweep"
    copied, shared = (load_model(folder / "checkpoints" / "best.ckpt").network.state_dict() for folder in folders)
    for name, tensor in copied.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")
