"""Write checkpoints so that a good one is there at any moment, and find it again."""

from __future__ import annotations

import logging
import os
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from visionkit.config.folders import short
from visionkit.config.values import LAST
from visionkit.engine.survival.disk import FULL, disk_full
from visionkit.engine.survival.nested import tensors
from visionkit.errors import UserError

log = logging.getLogger("visionkit")

FOLDER = "checkpoints"
"""Of a run's checkpoints, inside its own."""

PREVIOUS = "last.previous.ckpt"
"""What `last.ckpt` was before it was written anew."""

_ASIDE = ".part"
"""The ending of a file that is being written."""


class NotFiniteError(UserError):
    """A loss, or weights, that are not finite; no step is taken by the one, and no checkpoint holds the other."""


class Whole(TorchCheckpointIO):
    """Writes a checkpoint aside, waits until the disk has it, and renames it; never one with NaN in it.

    `last.ckpt` is kept as `last.previous.ckpt`, for the case that the disk damages the new one. Raises UserError for a
    full disk and for weights that are not finite, and leaves the checkpoints as they were.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint."""
        path = Path(path)
        _refuse_nan(checkpoint, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        keep = path.with_name(PREVIOUS) if path.name == LAST else None
        try:
            replace(path, lambda file: torch.save(checkpoint, file), keep)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise disk_full(error, path, num_bytes(checkpoint), how_to_go_on(path.parent.parent)) from error


def replace(path: Path, write: Callable[[IO[bytes]], object], keep: Path | None = None) -> None:
    """Put what `write` writes in the place of a file, which is moved to `keep` when there is one.

    The file is whole at any moment, and after a failure it is as before. Raises OSError.
    """
    aside = path.with_name(f".{path.name}{_ASIDE}")
    try:
        with aside.open("wb") as opened:
            file = _Noting(opened)
            try:
                write(cast(IO[bytes], file))
            except RuntimeError as error:  # torch says `unexpected pos`, whatever went wrong with its file
                raise file.failure or error from error
            opened.flush()
            os.fsync(opened.fileno())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if keep is not None and path.exists():
        path.replace(keep)
    aside.replace(path)
    _sync_folder(path.parent)


class _Noting:
    """A file that notes why it could not be written, which torch does not tell."""

    def __init__(self, file: IO[bytes]) -> None:
        self.failure: OSError | None = None
        self._file = file

    def write(self, data: bytes) -> int:
        """Write."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = self.failure or error
            raise

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed had half written."""
    for path in folder.glob(f".*{_ASIDE}"):
        path.unlink()


def newest_readable(folder: Path) -> Path | None:
    """Return the newest whole checkpoint that a training can go on from; None when there is none.

    Says so when a file is damaged and the one before takes its place. Each byte is read and compared with the sums in
    the file, which torch does not do: a bit that a disk has turned over would be trained on.
    """
    found = [path for path in (folder / LAST, folder / PREVIOUS) if path.exists()]
    for path in found:
        if path.is_dir() or whole(path):  # a folder holds one file a process, each with sums of its own
            return path
        log.warning("%s is damaged or cut off and is not used", short(path))
    return None


def whole(path: Path) -> bool:
    """Return whether a checkpoint is as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError):
        return False


def how_to_go_on(run_dir: Path) -> str:
    """Return what to type after a run has ended before its time."""
    path = next((path for name in (LAST, PREVIOUS) if (path := run_dir / FOLDER / name).exists()), None)
    if path is None:
        return "no checkpoint is written yet: start the training again"
    return f"the last checkpoint is {short(path)}; go on by the same command with resume={shlex.quote(short(run_dir))}"


def num_bytes(node: Any) -> int:
    """Return how many bytes the tensors in plain data take."""
    return sum(tensor.nbytes for tensor in tensors(node))


def _refuse_nan(checkpoint: dict[str, Any], path: Path) -> None:
    """Raise NotFiniteError for NaN. Infinite numbers may stand in a buffer for a reason, and in weights become NaN."""
    for name, tensor in checkpoint["state_dict"].items():
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise NotFiniteError(
                f"{name.removeprefix('network.')} holds NaN after step {checkpoint['global_step']}, so {path.name} is "
                "not written: a gradient was not finite though the loss was; lower optimizer.lr, or give "
                f"trainer.precision=32-true; {how_to_go_on(path.parent.parent)}"
            )


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's new names; Windows does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
