from __future__ import annotations

import logging
import os
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.pictures.cache import Cache, Entry, open_cache
from visionkit.errors import ConfigError

PICTURE = np.random.default_rng(0).integers(0, 256, (13, 7, 3), dtype=np.uint8)


class Maker:
    """Makes an entry and counts how often."""

    def __init__(self, picture: np.ndarray = PICTURE) -> None:
        self.picture = picture
        self.calls = 0

    def __call__(self) -> Entry:
        self.calls += 1
        return Entry(self.picture, (1000, 2000))


PICTURES = {
    "rgb": PICTURE,
    "mask": PICTURE[..., 0],
    "grey": PICTURE[..., :1],
    "uint16": PICTURE.astype(np.uint16) * 200,
    "int32": PICTURE[..., 0].astype(np.int32),
    "view": PICTURE[::2, ::-1],
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_what_is_kept_comes_back(tmp_path: Path, picture: np.ndarray) -> None:
    make = Maker(picture)
    for cache in (Cache(tmp_path), Cache(tmp_path)):
        for _ in range(2):
            found = cache.get("a", make)
            assert found.size == (1000, 2000)
            assert found.picture.dtype == picture.dtype
            assert np.array_equal(found.picture, picture)
    assert make.calls == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("place", [0, 9, 12, 20, 33, 39, 40, 100, 311, 312])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, place: int) -> None:
    """One byte is changed: of the header, of the pixels, of the last ones that make no whole word."""
    make, cache = Maker(), Cache(tmp_path)
    cache.get("a", make)
    content = bytearray((tmp_path / "a").read_bytes())
    assert len(content) == 40 + 13 * 7 * 3
    content[place] ^= 0x55
    (tmp_path / "a").write_bytes(content)
    again = cache.get("a", make)
    assert np.array_equal(again.picture, PICTURE)
    assert make.calls == 2
    assert np.array_equal(cache.get("a", make).picture, PICTURE)
    assert make.calls == 2


@pytest.mark.parametrize("length", [0, 7, 39, 40, 200, 312, 400])
def test_a_cut_or_longer_entry_is_made_anew(tmp_path: Path, length: int) -> None:
    make, cache = Maker(), Cache(tmp_path)
    cache.get("a", make)
    content = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes((content * 2)[:length])
    assert np.array_equal(cache.get("a", make).picture, PICTURE)
    assert make.calls == 2


def test_a_nearly_full_device_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    space = namedtuple("space", "f_bavail f_frsize f_blocks")
    monkeypatch.setattr(os, "statvfs", lambda _: space(105, 4096, 1000), raising=False)
    make, cache = Maker(), Cache(tmp_path)
    cache.get("a", make)
    assert (tmp_path / "a").is_file()
    monkeypatch.setattr(os, "statvfs", lambda _: space(99, 4096, 1000), raising=False)
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        for name in "bcd":
            assert np.array_equal(cache.get(name, make).picture, PICTURE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    assert np.array_equal(cache.get("a", make).picture, PICTURE)  # what is there is still used
    assert make.calls == 4
    assert len(caplog.records) == 1
    assert str(tmp_path) in caplog.text


def test_where_caches_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISIONKIT_CACHE", str(tmp_path / "own"))
    assert open_cache("none") is None
    disk = open_cache("disk")
    assert disk is not None
    assert disk.folder == tmp_path / "own" / "images"
    monkeypatch.setattr("visionkit.data.pictures.cache.RAM", tmp_path)
    ram = open_cache("ram")
    assert ram is not None
    assert ram.folder == tmp_path / f"visionkit-{os.getuid()}"
    assert ram.folder.stat().st_mode & 0o777 == 0o700
    ram.folder.rmdir()
    ram.folder.symlink_to(tmp_path / "own")
    with pytest.raises(ConfigError, match=r"data\.cache=ram: .* is not a folder of yours"):
        open_cache("ram")
    monkeypatch.setattr("visionkit.data.pictures.cache.RAM", tmp_path / "none")
    with pytest.raises(ConfigError, match=r"data\.cache=ram needs .* give data\.cache=disk"):
        open_cache("ram")
