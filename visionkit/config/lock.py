"""Let one process at a time write a file."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a file, which begins empty, against every other caller of this; one that stays empty is removed.

    `waiting` is called once when another one holds it. The holder may write, move or remove the file. The lock ends
    with its process. Windows and file systems that cannot lock go without. Raises OSError.
    """
    if sys.platform == "win32":
        yield
        return
    said = False

    def busy() -> None:
        nonlocal said
        if not said:
            waiting()
        said = True

    while True:
        with path.open("ab") as file:
            _lock(file, busy)
            if not _is(path, file):
                continue  # the one before moved or removed it: what is locked is no longer what lies there
            try:
                yield
            finally:
                if _is(path, file) and path.stat().st_size == 0:
                    path.unlink()
            return


def _lock(file: BinaryIO, busy: Callable[[], None]) -> None:
    if sys.platform == "win32":
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is(path: Path, file: BinaryIO) -> bool:
    """Return whether an open file is the one that lies there."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file.fileno()))
