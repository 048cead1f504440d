from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from visionkit.config.lock import alone


def count(folder: Path, times: int) -> None:
    for _ in range(times):
        with alone(folder / "count.lock", lambda: None):
            count = folder / "count"
            count.write_text(str(int(count.read_text()) + 1))


def test_of_many_that_hold_and_remove_it_one_is_alone(tmp_path: Path) -> None:
    """Each waiter finds the file it has locked gone, now and then between two of its own looks at it."""
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count, args=(tmp_path, 200)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "count").read_text() == "800"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), alone(tmp_path / "nowhere/x.lock", lambda: None):
        pass
