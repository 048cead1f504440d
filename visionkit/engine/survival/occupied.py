"""Know of a folder whether a process is training in it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

LOCK = ".training"
"""The file, inside the folder of a run, that is locked while it is trained."""


@contextmanager
def occupied(run_dir: Path) -> Iterator[None]:
    """Hold the folder of a run; rank 0 does it for all.

    The lock is one of those that end with their process and that its loader's workers, who outlive a killed one by
    seconds, do not inherit. Windows and file systems that cannot lock go without.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    path = run_dir / LOCK
    with path.open("w") as file:
        _lock(file)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_occupied(run_dir: Path) -> bool:
    """Return whether another process holds the folder of a run."""
    path = run_dir / LOCK
    if not path.exists():
        return False
    with path.open("r+") as file:
        return not _lock(file)


def _lock(file: IO[str]) -> bool:
    """Lock a file until it is closed; return False when another process has."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True
