"""Say what to do about a disk that is full."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from visionkit.errors import UserError

FULL = frozenset({errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else [])})
"""What a system calls it: no room, a file larger than allowed, a person's share used up."""


class DiskFullError(UserError):
    """Something of a run could not be written for want of room."""


def disk_full(error: OSError, path: Path, needed: int | None, go_on: str) -> DiskFullError:
    """Return the error that tells of a file that could not be written; `needed` bytes, None when nobody knows."""
    size = "" if needed is None else f" takes {_bytes(needed)} and"
    if error.errno == errno.EFBIG:
        room = "no file may be that large here (ulimit -f says how large)"
    else:
        room = f"{_bytes(shutil.disk_usage(path.parent).free)} are free in {path.parent}"
        room += " for you" if error.errno != errno.ENOSPC else ""
    return DiskFullError(
        f"the disk is full: {path.name}{size} cannot be written, {room}; make room, then go on: {go_on}"
    )


def _bytes(number: int) -> str:
    return f"{number:,} bytes" if number < 10**6 else f"{number / 10**6:,.1f} MB"
