"""List the files of a data set in one order on every machine."""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionkit.data.report import Report
from visionkit.errors import DataError

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".npy"})

SPLIT_FOLDERS: Final = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What the folders and lists of a split are called."""


def require_root(root: Path, layouts: str) -> None:
    """Raise DataError unless `root` is a folder; `layouts` says what is allowed inside."""
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root}: {state}; set data.root to a folder laid out as {layouts}")


def require_split(split: str, known: tuple[str, ...], root: Path) -> None:
    """Raise DataError unless the data set has the split."""
    if split not in known:
        raise DataError(f"{root}: has no split {split!r}; it has {', '.join(known)}")


def inside(root: Path, name: str, where: str | Path, report: Report) -> str | None:
    """Return a file's path relative to the root, or None when it leaves the root, which is an error of `where`.

    `name` is what an annotation calls the file; what lies behind a link of the user's own is not looked at.
    """
    path = PurePosixPath(posixpath.normpath(name.replace("\\", "/")))
    if path.is_absolute() or path.parts[:1] == ("..",) or PureWindowsPath(name).drive:
        report.error("outside_root", where, f"names the file {name!r}, which is not below {root}; correct the path")
        return None
    return path.as_posix()


def text(path: Path) -> str:
    """Return a UTF-8 text file, a byte order mark taken off. Raises DataError, with the line, for another encoding."""
    encoded = path.read_bytes()
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = encoded[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: is no UTF-8 text ({error.reason}); save the file as UTF-8") from error


def folders(root: Path) -> list[str]:
    """Return the names of the visible folders in `root`, by code point."""
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def images(folder: Path) -> list[str]:
    """Return the names of the image files in `folder`, by code point."""
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    )


def by_stem(folder: Path) -> dict[str, str]:
    """Return the image files of `folder` by their name without suffix. Raises DataError when two share one."""
    found: dict[str, str] = {}
    for name in images(folder):
        stem = Path(name).stem
        if stem in found:
            raise DataError(f"{folder}: {found[stem]} and {name} differ in their suffix only; remove or rename one")
        found[stem] = name
    return found


def every(labels: NDArray[np.int64], step: int) -> NDArray[np.bool_]:
    """Return which samples are held out: of each class the `step`-th, the `2 * step`-th and so on, in their order."""
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        held_out[np.flatnonzero(labels == label)[step - 1 :: step]] = True
    return held_out
