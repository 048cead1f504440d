from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from urllib.error import URLError

import pytest

from visionkit.data.formats.published import Published, require
from visionkit.errors import DataError

WHAT = Published("Birds", "https://example.org/birds", 12, "birds with images")


def fetch_slowly(root: Path) -> None:
    with (root / "fetched.log").open("a") as log:
        log.write("x")
    time.sleep(0.3)
    (root / "birds").mkdir()


def one_rank(root: Path) -> None:
    require(root, WHAT, (root / "birds").is_dir, lambda: fetch_slowly(root))


def test_of_several_processes_one_fetches(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=one_rank, args=(tmp_path,)) for _ in range(3)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(30)
    assert [rank.exitcode for rank in ranks] == [0, 0, 0]
    assert (tmp_path / "fetched.log").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["birds", "fetched.log"]


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError("File not found or corrupted."), EOFError()])
def test_a_download_that_fails_says_what_to_do(tmp_path: Path, error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(DataError, match=r"Birds \(12 MB\) cannot be downloaded .*https://example\.org/birds.* unpack"):
        require(tmp_path, WHAT, lambda: False, fail)
    assert not list(tmp_path.iterdir())


def test_a_download_that_brings_nothing_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no whole birds with images after its download"):
        require(tmp_path, WHAT, lambda: False, lambda: None)


def test_what_is_there_is_not_fetched(tmp_path: Path) -> None:
    require(tmp_path, WHAT, lambda: True, None)
    with pytest.raises(DataError, match=r"type data\.download=true to download Birds \(12 MB\)"):
        require(tmp_path, WHAT, lambda: False, None)
