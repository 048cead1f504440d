"""Keep resized pictures as files of plain bytes, shared by all workers and runs."""

from __future__ import annotations

import errno
import logging
import os
import stat
import struct
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from visionkit.config.folders import cache_dir
from visionkit.errors import ConfigError

CACHES: Final = ("none", "ram", "disk")
"""What `data.cache` may be."""

KEPT_FREE: Final = 0.1
"""The share of the device from which on nothing more is stored."""

RAM: Final = Path("/dev/shm")

_HEADER: Final = struct.Struct("<8s2sH3I2IQ")
"""Magic, type, number of dimensions, shape, height and width of the original, checksum."""

_MAGIC: Final = b"visionk1"
_TYPES: Final[dict[bytes, np.dtype[Any]]] = {
    b"u1": np.dtype(np.uint8),
    b"u2": np.dtype(np.uint16),
    b"i4": np.dtype(np.int32),
}

log = logging.getLogger("visionkit")


class Entry(NamedTuple):
    """A resized picture, and the (height, width) that it had."""

    picture: NDArray[Any]
    size: tuple[int, int]


class Cache:
    """Entries by name in one folder. Storing ends, with one line in the log, when the device is nearly full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.full = False

    def get(self, name: str, make: Callable[[], Entry]) -> Entry:
        """Return the entry of a name, made and stored where there is none or a damaged one."""
        found = _read(f"{self.folder}/{name}")
        if found is None:
            found = make()
            self._store(self.folder / name, found)
        return found

    def _store(self, path: Path, entry: Entry) -> None:
        if self.full:
            return
        try:
            self._write(path, entry)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._end()

    def _write(self, path: Path, entry: Entry) -> None:
        picture = np.ascontiguousarray(entry.picture)
        space = os.statvfs(self.folder)
        if space.f_bavail * space.f_frsize < KEPT_FREE * space.f_blocks * space.f_frsize + picture.nbytes:
            self._end()
            return
        aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            with aside.open("wb") as file:
                file.write(_header(picture, entry.size))
                file.write(picture.data)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def _end(self) -> None:
        self.full = True
        worker = get_worker_info()
        if worker is None or worker.id == 0:
            log.warning(f"the cache in {self.folder} is full: all further images are read from their files each time")


def open_cache(kind: str) -> Cache | None:
    """Return the cache of a kind, one of `CACHES`; None for `none`.

    Raises:
        ConfigError: The machine has no file system in memory, or the folder is not this user's.
    """
    if kind == "none":
        return None
    if kind == "disk":
        folder = cache_dir() / "images"
        folder.mkdir(parents=True, exist_ok=True)
        return Cache(folder)
    if not RAM.is_dir():
        raise ConfigError(f"data.cache=ram needs {RAM}, which this machine has not; give data.cache=disk")
    folder = RAM / f"visionkit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()  # anybody may make folders there, and what is read from it is trusted
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigError(f"data.cache=ram: {folder} is not a folder of yours; remove it, or give data.cache=disk")
    return Cache(folder)


def _header(picture: NDArray[Any], size: tuple[int, int]) -> bytes:
    code = next(code for code, dtype in _TYPES.items() if dtype == picture.dtype)
    shape = (*picture.shape, 0)[:3]
    return _HEADER.pack(_MAGIC, code, picture.ndim, *shape, *size, _checksum(picture))


def _read(path: str) -> Entry | None:
    """Return an entry, or None where there is none that is whole."""
    try:
        content = np.fromfile(path, dtype=np.uint8)  # quicker than mapping it: pages are dearer than their bytes
    except FileNotFoundError:
        return None
    if len(content) < _HEADER.size:
        return None
    magic, code, dimensions, height, width, channels, rows, columns, checksum = _HEADER.unpack_from(content.data)
    shape = (height, width, channels)[:dimensions]
    body = content[_HEADER.size :]
    if magic != _MAGIC or code not in _TYPES or len(body) != np.prod(shape, dtype=np.int64) * _TYPES[code].itemsize:
        return None
    picture = body.view(_TYPES[code]).reshape(shape)
    return Entry(picture, (rows, columns)) if _checksum(picture) == checksum else None


def _checksum(picture: NDArray[Any]) -> int:
    """Return the sum of all bytes, eight at a time: several times as fast as a CRC."""
    content = picture.reshape(-1).view(np.uint8)
    whole = len(content) // 8 * 8
    words = content[:whole].view(np.uint64)
    return (int(words.sum(dtype=np.uint64)) + int(content[whole:].sum())) % 2**64
