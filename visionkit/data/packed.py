"""Keep what was read from a large file as arrays in the cache folder, where any process opens them at once."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.config.folders import cache_dir
from visionkit.data.mapped import Mapped

log = logging.getLogger(__name__)

FORMAT: Final = 1
"""To be raised with every change of what is kept, so that nothing older is read."""

INDEX: Final = "index.json"


class Pack(NamedTuple):
    """Arrays by name, and what is said about them in values that JSON knows."""

    arrays: dict[str, NDArray[Any]]
    about: dict[str, Any]


def packed(file: Path, kind: str, make: Callable[[], Pack], *also: str) -> Pack:
    """Return what `make` reads from `file`, from the cache where it is there; its arrays are then `Mapped`.

    It is kept in `cache_dir()/<kind>`, under a key of the file's path, size, times and inode, of `FORMAT` and of what
    else it depends on (`also`). A folder is written aside and renamed, so that none is ever half there under its name;
    one whose files are not as they were written is made anew. Where nothing can be written, `make` runs every time.
    """
    state = file.stat()
    key = [file.resolve(), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, FORMAT, *also]
    name = hashlib.sha256("\n".join(map(str, key)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    folder = cache_dir() / kind / name
    found = _load(folder)
    if found is None:
        found = make()
        found = _keep(folder, found) or found
    return found


def _load(folder: Path) -> Pack | None:
    """Return what a folder holds, or None where it is not there or not as it was written."""
    if not folder.exists():
        return None
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if any(_stamp(folder / name) != stamp for name, stamp in index["files"].items()):
            raise ValueError("a file was changed after it was written")
        arrays: dict[str, NDArray[Any]] = {
            name.removesuffix(".npy"): Mapped.open(folder / name) for name in index["files"]
        }
        return Pack(arrays, index["about"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("%s is damaged (%s) and is made anew", folder, error)
        return None


def _keep(folder: Path, pack: Pack) -> Pack | None:
    """Write a folder and return it as it is opened, or None where it cannot be written."""
    aside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        for name, array in pack.arrays.items():
            np.save(aside / f"{name}.npy", array, allow_pickle=False)
        files = {f"{name}.npy": _stamp(aside / f"{name}.npy") for name in pack.arrays}
        (aside / INDEX).write_text(json.dumps({"files": files, "about": pack.about}), encoding="utf-8")
        if folder.exists() and _load(folder) is None:  # damaged
            shutil.rmtree(folder)
        aside.rename(folder)
    except OSError as error:
        if not folder.exists():  # else another process was sooner
            log.warning(
                "%s cannot be written (%s), so the file is read anew every time; set VISIONKIT_CACHE to another folder",
                folder,
                error.strerror or error,
            )
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    return _load(folder)


def _stamp(file: Path) -> list[int]:
    """Return a file's size and time of change: what differs when it was written to."""
    state = file.stat()
    return [state.st_size, state.st_mtime_ns]
