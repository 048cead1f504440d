"""A training that is killed and goes on is, bit for bit, the one that was not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.dying import DIES, HOW, WHERE, Dead
from tests.trainings import frozen
from visionkit.engine.fit import fit

GOING_ON = (DIES, "resume=auto", "epochs=4")

EVERYTHING = (
    *GOING_ON, "save_every=1", "data.workers=2", "head.dropout=0.5", "callbacks=early_stopping",
    "trainer.accumulate_grad_batches=2", "trainer.log_every_n_steps=1", "ema.decay=0.9", "scheduler=plateau",
    "scheduler.patience=1", "freeze.stages=2", "freeze.until_epoch=2",
)  # fmt: skip
"""A run with all that has a state: 5 batches and 3 steps an epoch."""

OF_TIME = {"elapsed", "seconds", "images_per_second"}
"""What depends on the clock."""

OF_PLACE = {"dirpath", "best_model_path", "best_k_models", "kth_best_model_path", "provenance"}
"""What names the folder of the run, or how often it was begun."""


@pytest.fixture(scope="module", autouse=True)
def threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = frozen(tmp_path_factory.mktemp("straight") / "run", *EVERYTHING)
    fit(run)
    return run


def differences(one: Any, other: Any, key: str = "") -> list[str]:
    """Return the keys at which two checkpoints or results are not equal to the bit."""
    if key.rpartition(".")[2] in OF_TIME | OF_PLACE:
        return []
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for name in one for found in differences(one[name], other[name], f"{key}.{name}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [f for i, pair in enumerate(zip(one, other, strict=True)) for f in differences(*pair, f"{key}.{i}")]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [key]
    return [] if one == other or (one != one and other != other) else [key]


def assert_same(one: Path, other: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        both = [torch.load(run / "checkpoints" / name, weights_only=True) for run in (one, other)]
        assert not differences(*both), name
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    assert not differences(*(json.loads((run / "result.json").read_text()) for run in (one, other)))


def die(run: Path, batch: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a run die behind a batch; return the step of the checkpoint that it leaves."""
    monkeypatch.setenv(WHERE, str(batch))
    with pytest.raises(Dead):
        fit(run)
    monkeypatch.delenv(WHERE)
    return int(torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"])


def test_killed_in_mid_epoch(straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = frozen(tmp_path / "run", *EVERYTHING)
    assert die(run, 8, monkeypatch) == 4  # the second epoch's first step is that of batches 5 and 6
    fit(run)
    assert_same(straight, run)
    assert "going on in epoch 2 behind step 4" in (run / "train.log").read_text()


def test_ended_in_mid_epoch_by_ctrl_c(straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a batch whose gradients are not used yet: the run ends behind the next, and its state is of that."""
    run = frozen(tmp_path / "run", *EVERYTHING)
    monkeypatch.setenv(WHERE, "7")
    monkeypatch.setenv(HOW, "SIGINT")
    with pytest.raises(SystemExit):
        fit(run)
    monkeypatch.delenv(WHERE)
    found = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert found["global_step"] == 5
    assert json.loads((run / "result.json").read_text())["interrupted"]
    found["callbacks"]["Clock"]["elapsed"] = 1000.0
    torch.save(found, run / "checkpoints/last.ckpt")
    fit(run)
    assert 1000 < json.loads((run / "result.json").read_text())["seconds"]["training"] < 1500
    last = [torch.load(r / "checkpoints/last.ckpt", weights_only=True) for r in (straight, run)]
    assert not differences(*last)


@pytest.mark.slow
@pytest.mark.parametrize("batches", [[5], [9], [10], [3, 11, 13], [19]])
def test_killed_at_the_edges_of_epochs_and_again(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: list[int]
) -> None:
    run = frozen(tmp_path / "run", *EVERYTHING)
    for batch in batches:
        die(run, batch, monkeypatch)
    if len(batches) > 1:  # a checkpoint of the process that went on knows the validation before
        last = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
        assert last["global_step"] == 7
        assert "val/accuracy" in last["visionkit"]["metrics"]
    fit(run)
    assert_same(straight, run)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [("+trainer.val_check_interval=0.4",), ("trainer.check_val_every_n_epoch=2",), ("+trainer.limit_train_batches=3",)],
)
def test_killed_with_validations_at_other_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...]
) -> None:
    runs = [frozen(tmp_path / name, *GOING_ON, "save_every=1", *settings) for name in ("straight", "killed")]
    fit(runs[0])
    die(runs[1], 6, monkeypatch)
    die(runs[1], 8, monkeypatch)
    fit(runs[1])
    assert_same(*runs)


@pytest.mark.slow
def test_kill_9_in_every_task(tmp_path: Path) -> None:
    """Between epochs for one, in mid-epoch with two workers for the others."""
    tasks = {
        "classification": ("head.dropout=0.5", "save_every=null"),
        "detection": ("data.workers=2", "save_every=1"),
        "segmentation": ("data.workers=2", "save_every=3"),
        "multitask": ("data.workers=2", "save_every=1"),
    }
    averaged = (*GOING_ON, "ema.decay=0.9")
    runs = {name: [frozen(tmp_path / f"{name}{n}", *averaged, f"task={name}", *settings) for n in (0, 1)]
            for name, settings in tasks.items()}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.dying", *(f"{killed}@13" for _, killed in runs.values())],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [torch.load(k / "checkpoints/last.ckpt", weights_only=True)["global_step"] for _, k in runs.values()]
    assert steps == [10, 13, 13, 13]
    for straight, killed in runs.values():
        assert not (killed / "result.json").exists()
        fit(straight)
        fit(killed)
        assert_same(straight, killed)


@pytest.mark.slow
def test_two_processes_go_on_with_their_own_random_streams(tmp_path: Path) -> None:
    settings = (*GOING_ON, "save_every=1", "head.dropout=0.5", "trainer=ddp", "trainer.accelerator=cpu")
    straight, killed = (frozen(tmp_path / name, *settings, "trainer.devices=2") for name in ("straight", "killed"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, "-m", "tests.dying", str(straight), f"{killed}@7", str(killed)],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on in epoch 2 behind step 7" in (killed / "train.log").read_text()
    last = [torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (straight, killed)]
    assert {key.split(".")[2] for key in differences(*last)} <= {"History"}  # means over ranks are rounded anew
    assert last[1]["callbacks"]["History"]["losses"] == pytest.approx(last[0]["callbacks"]["History"]["losses"])
    assert not torch.equal(*(streams["torch"] for streams in last[0]["run_state"]["random"]))


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "step"), [("7", 5), ("9", 6), ("19", 12)])
def test_stopped_by_sigterm(
    straight: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: str,
    step: int,
) -> None:
    """Within an epoch, in its last batch, and in the last of all."""
    run = frozen(tmp_path / "run", *EVERYTHING)
    monkeypatch.setenv(WHERE, batch)
    monkeypatch.setenv(HOW, "SIGTERM")
    with pytest.raises(SystemExit) as ended:
        fit(run)
    monkeypatch.delenv(WHERE)
    assert ended.value.code == 143
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == step
    assert not (run / "result.json").exists()
    if batch == "7":  # the disk has lost half of it, and what is done again is the same
        last = run / "checkpoints/last.ckpt"
        last.write_bytes(last.read_bytes()[:50_000])
    fit(run)
    assert_same(straight, run)
