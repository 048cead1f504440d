"""Checkpoints are whole at any moment: killed while writing, cut off, changed by the disk or without room."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from visionkit.engine.survival import writing
from visionkit.engine.survival.disk import DiskFullError
from visionkit.engine.survival.writing import NotFiniteError, Whole, newest_readable, num_bytes, remove_leftovers, whole

WEIGHTS = 30_000
"""So few that one thread works on them: others do not survive a fork."""


def checkpoint(step: int) -> dict[str, Any]:
    return {"global_step": step, "state_dict": {"network.line": torch.full((WEIGHTS,), float(step))}}


def step_of(path: Path | None) -> int:
    assert path is not None
    return int(torch.load(path, weights_only=True)["global_step"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of checkpoints with those of two steps."""
    folder = tmp_path / "run" / "checkpoints"
    for step in (1, 2):
        Whole().save_checkpoint(checkpoint(step), folder / "last.ckpt")
    return folder


def in_a_child(target: Callable[[], None]) -> int | None:
    """Run what may not happen to the tests' own process; return its exit code."""
    child = multiprocessing.get_context("fork").Process(target=target, daemon=True)
    child.start()
    child.join(60)
    return child.exitcode


def test_the_one_before_is_kept(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert step_of(folder / "last.ckpt") == 2
    assert step_of(folder / "last.previous.ckpt") == 1
    Whole().save_checkpoint(checkpoint(3), folder / "best.ckpt")
    Whole().save_checkpoint(checkpoint(4), folder / "best.ckpt")
    assert step_of(folder / "last.previous.ckpt") == 1, "best.ckpt has taken the place"


def test_a_process_killed_while_it_writes_leaves_the_last_one(folder: Path) -> None:
    def killed() -> None:
        def write(self: Any, data: bytes) -> int:
            if len(data) > 10_000:  # the weights, half of which have arrived
                self._file.write(data[: len(data) // 2])
                self._file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return int(self._file.write(data))

        writing._Noting.write = write  # type: ignore[method-assign]
        Whole().save_checkpoint(checkpoint(3), folder / "last.ckpt")

    assert in_a_child(killed) == -signal.SIGKILL
    assert step_of(newest_readable(folder)) == 2
    (leftover,) = folder.glob(".*")
    assert leftover.stat().st_size > 50_000
    remove_leftovers(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "last.previous.ckpt"]


def test_the_bytes_are_on_the_disk_before_the_name_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    synced = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), step_of(folder / "last.ckpt")))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Whole().save_checkpoint(checkpoint(3), folder / "last.ckpt")
    assert seen == [(str(folder / ".last.ckpt.part"), 2), (str(folder), 3)]


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "lost"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing.log, "propagate", True)
    last = folder / "last.ckpt"
    written = bytearray(last.read_bytes())
    if damage == "bit":
        written[len(written) // 2] ^= 1
    last.write_bytes(written[: {"cut": len(written) // 2, "empty": 0}.get(damage)])
    if damage == "lost":  # between the two renames
        last.unlink()
    found = newest_readable(folder)
    assert found == folder / "last.previous.ckpt"
    assert step_of(found) == 1
    assert ("last.ckpt is damaged or cut off" in caplog.text) == (damage != "lost")


def test_nothing_readable_is_none(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert newest_readable(folder) is None
    assert newest_readable(folder / "none") is None


def test_a_limit_on_files_is_told_and_the_last_checkpoint_stays(folder: Path) -> None:
    told = folder.parent / "told.txt"

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        try:
            Whole().save_checkpoint(checkpoint(3), folder / "last.ckpt")
        except DiskFullError as error:
            told.write_text(str(error))

    assert in_a_child(limited) == 0
    for words in (
        "last.ckpt takes 120,000 bytes",
        "ulimit -f",
        f"go on by the same command with resume={folder.parent}",
    ):
        assert words in told.read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert step_of(newest_readable(folder)) == 2


@pytest.mark.parametrize("place", ["write", "fsync"])
def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    if place == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(writing, "_Noting", lambda opened: _Failing(opened, full))
    with pytest.raises(DiskFullError) as error:
        Whole().save_checkpoint(checkpoint(3), folder / "last.ckpt")
    assert "last.ckpt takes 120,000 bytes" in str(error.value)
    assert f"are free in {folder}" in str(error.value)
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert step_of(newest_readable(folder)) == 2


class _Failing(writing._Noting):
    def __init__(self, opened: Any, full: Callable[..., int]) -> None:
        super().__init__(opened)
        self._file: Any = type("Full", (), {"write": staticmethod(full), "flush": staticmethod(lambda: None)})


def test_another_error_stays_what_it_is(folder: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Whole().save_checkpoint(checkpoint(3), folder.parent / "checkpoints")
    with pytest.raises(AttributeError, match="pickle"):
        Whole().save_checkpoint({**checkpoint(3), "f": lambda: None}, folder / "last.ckpt")
    assert step_of(newest_readable(folder)) == 2


def test_no_checkpoint_holds_nan(folder: Path) -> None:
    spoilt = checkpoint(3)
    spoilt["state_dict"]["network.line"][7] = torch.nan
    with pytest.raises(NotFiniteError, match=r"line holds NaN after step 3, so last\.ckpt is not written"):
        Whole().save_checkpoint(spoilt, folder / "last.ckpt")
    assert step_of(folder / "last.ckpt") == 2


def test_whole_and_size(folder: Path) -> None:
    assert whole(folder / "last.ckpt")
    assert num_bytes({"a": [torch.zeros(3), (torch.zeros(2, dtype=torch.int64), {"b": torch.zeros(1)})], "c": 4}) == 32
