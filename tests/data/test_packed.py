from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.mapped import Mapped
from visionkit.data.packed import INDEX, Pack, packed


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISIONKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "big.json"
    path.write_text("1 2 3")
    return path


@pytest.fixture
def open_it(file: Path) -> Callable[..., tuple[Pack, int]]:
    """Opens the file; returns what it gives, and how often it has been read so far."""
    read = 0

    def make() -> Pack:
        nonlocal read
        read += 1
        numbers = np.asarray([int(word) for word in file.read_text().split()])
        return Pack({"numbers": numbers, "none": np.empty((0, 4), dtype=np.float32)}, {"names": ["ü", "\udce9"]})

    def once(*also: str) -> tuple[Pack, int]:
        pack = packed(file, "test", make, *also)
        assert pack.arrays["numbers"].tolist() == [int(word) for word in file.read_text().split()]
        assert pack.arrays["none"].shape == (0, 4)
        assert pack.about == {"names": ["ü", "\udce9"]}
        return pack, read

    return once


def folders(file: Path) -> list[Path]:
    return sorted((file.parent / "cache" / "test").iterdir())


def test_a_file_is_read_once(file: Path, open_it: Callable[..., tuple[Pack, int]]) -> None:
    for _ in range(3):
        pack, read = open_it()
        assert read == 1
        assert isinstance(pack.arrays["numbers"], Mapped)
        assert pack.arrays["none"].dtype == np.float32
    assert len(folders(file)) == 1


def test_a_changed_file_is_noticed(file: Path, open_it: Callable[..., tuple[Pack, int]]) -> None:
    open_it()
    state = file.stat()
    file.write_text("1 2 4")  # as long as before, and as old
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert open_it()[1] == 2
    os.utime(file, ns=(0, 0))
    assert open_it()[1] == 3
    other = file.with_name("other")
    other.write_text("1 2 4")
    other.replace(file)
    assert open_it()[1] == 4
    assert open_it("another folder")[1] == 5
    assert open_it("another folder")[1] == 5


@pytest.mark.parametrize("what", ["cut", "overwritten", "removed", "index cut", "index of another kind", "no array"])
def test_a_damaged_cache_is_made_anew(
    file: Path, open_it: Callable[..., tuple[Pack, int]], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_it()
    (folder,) = folders(file)
    array, index = folder / "numbers.npy", folder / INDEX
    if what == "cut":
        array.write_bytes(array.read_bytes()[:-3])
    elif what == "overwritten":
        array.write_bytes(array.read_bytes()[:-8] + bytes(8))
    elif what == "removed":
        array.unlink()
    elif what == "index cut":
        index.write_text(index.read_text()[:-5])
    elif what == "index of another kind":
        index.write_text("[]")
    else:
        said = json.loads(index.read_text())
        array.write_bytes(b"no array")
        said["files"]["numbers.npy"] = [array.stat().st_size, array.stat().st_mtime_ns]
        index.write_text(json.dumps(said))
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        assert open_it()[1] == 2
    assert "is damaged" in caplog.text
    caplog.clear()
    assert open_it()[1] == 2
    assert not caplog.records
    assert folders(file) == [folder]


def test_a_cache_that_cannot_be_written_costs_only_speed(
    file: Path, open_it: Callable[..., tuple[Pack, int]], caplog: pytest.LogCaptureFixture
) -> None:
    (file.parent / "cache").write_text("a file where the folder would be")
    for number in (1, 2):
        pack, read = open_it()
        assert read == number
        assert type(pack.arrays["numbers"]) is np.ndarray
    assert "cannot be written" in caplog.text
    assert "VISIONKIT_CACHE" in caplog.text


def test_a_disk_that_fills_up_leaves_nothing(
    file: Path,
    open_it: Callable[..., tuple[Pack, int]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert open_it()[1] == 1
    assert "No space left on device" in caplog.text
    assert folders(file) == []


def test_another_process_may_be_sooner(
    file: Path, open_it: Callable[..., tuple[Pack, int]], caplog: pytest.LogCaptureFixture
) -> None:
    def make() -> Pack:
        open_it()
        return Pack({"numbers": np.asarray([9])}, {})

    pack = packed(file, "test", make)
    assert pack.arrays["numbers"].tolist() == [1, 2, 3]
    assert not caplog.records
    assert len(folders(file)) == 1
