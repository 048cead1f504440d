"""What a machine does to a training is explained: a full disk, no memory, a loader's process that dies."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from tests.engine.survival.boring import STEPS, saved, train
from tests.trainings import frozen
from visionkit.data.loader import start_worker
from visionkit.engine import results
from visionkit.engine.fit import fit
from visionkit.engine.module import VisionModule
from visionkit.engine.survival.disk import DiskFullError
from visionkit.engine.survival.memory import OutOfMemoryError
from visionkit.engine.survival.trouble import WorkerDiedError, explained

CONFIG: dict[str, Any] = {"data": {"workers": 3, "batch_size": 8, "size": 32}, "trainer": {"precision": "32-true"}}


class Dying(Dataset[int]):
    """Ten numbers; the process that loads the fifth gets a signal."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        if index == 4:
            os.kill(os.getpid(), self.number)
        return index


@pytest.fixture
def own_children() -> Iterator[None]:
    """Leave the tests' process as torch has set it up."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


def test_a_dead_worker_is_explained(tmp_path: Path) -> None:
    """Once: of the others, which end a moment later, torch would say the same again and again."""

    def load() -> None:
        try:
            with explained(CONFIG, tmp_path):
                list(DataLoader(Dying(signal.SIGKILL), num_workers=1, worker_init_fn=start_worker))
        except WorkerDiedError as error:
            signal.raise_signal(signal.SIGCHLD)
            (tmp_path / "told.txt").write_text(str(error))

    child = multiprocessing.get_context("fork").Process(target=load)  # torch would answer in the tests' own process
    child.start()
    child.join(60)
    assert child.exitcode == 0
    for words in (
        "a process that loads data ", "dmesg", "lower data.workers (now 3; 0 loads in",
        "data.batch_size (now 8)", "no checkpoint is written yet: start the training again",
    ):  # fmt: skip
        assert words in (tmp_path / "told.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signals_to_all_processes_leave_workers_alone(number: int) -> None:
    loader = DataLoader(Dying(number), num_workers=1, worker_init_fn=start_worker)
    assert len(list(loader)) == 10


def test_a_worker_ends_when_the_main_process_says_so(own_children: None) -> None:
    batches = iter(DataLoader(Dying(0), num_workers=1, worker_init_fn=start_worker, persistent_workers=True))
    next(batches)
    (worker,) = batches._workers
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("DataLoader worker (pid(s) 7, 8) exited unexpectedly", "exited unexpectedly: most likely"),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible", "/dev/shm"),
    ],
)
def test_how_workers_die(tmp_path: Path, said: str, words: str, own_children: None) -> None:
    with pytest.raises(WorkerDiedError, match=words), explained(CONFIG, tmp_path):
        raise RuntimeError(said)


class Reset(Dataset[int]):
    """Data whose connection to a worker is gone."""

    def __getitem__(self, index: int) -> int:
        raise ConnectionResetError

    def __len__(self) -> int:
        return 1


def test_a_connection_that_ends_is_a_worker_that_died_only_while_loading(tmp_path: Path, own_children: None) -> None:
    with pytest.raises(WorkerDiedError, match="has ended"), explained(CONFIG, tmp_path):
        next(iter(DataLoader(Reset())))
    with pytest.raises(ConnectionResetError), explained(CONFIG, tmp_path):
        Reset()[0]


def test_memory_is_explained_and_other_errors_are_left(tmp_path: Path) -> None:
    with pytest.raises(OutOfMemoryError), explained(CONFIG, tmp_path):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(RuntimeError, match="shapes"), explained(CONFIG, tmp_path):
        raise RuntimeError("shapes")
    with pytest.raises(FileNotFoundError), explained(CONFIG, tmp_path):
        (tmp_path / "none").read_text()


def test_a_full_disk_under_any_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"metrics\.csv cannot be written"), explained(CONFIG, tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "metrics.csv"))


def test_what_a_checkpoint_said_comes_before_what_a_logger_says(tmp_path: Path) -> None:
    second = OSError(errno.ENOSPC, "No space left on device")
    second.__context__ = DiskFullError("last.ckpt takes 8 bytes")
    with pytest.raises(DiskFullError, match="takes 8 bytes"), explained(CONFIG, tmp_path):
        raise second


def test_a_disk_that_fills_up_costs_the_steps_since_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced = os.fsync, [0]

    def full(descriptor: int) -> None:
        synced[0] += 1
        if synced[0] > 4:  # files and folders of best.ckpt and last.ckpt in the first epoch
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"best\.ckpt takes"):
        train(tmp_path, lambda *_: None)
    assert saved(tmp_path)["global_step"] == STEPS
    assert saved(tmp_path, "best.ckpt")["global_step"] == STEPS
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_result_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        results.write({"metrics": {}}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_training_without_memory_ends_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VisionModule, "training_step", lambda *_: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(OutOfMemoryError, match="can't allocate memory") as error:
        fit(frozen(tmp_path / "run"))
    assert "data.batch_size=4 trainer.accumulate_grad_batches=2 (now 8 and 1)" in str(error.value)
