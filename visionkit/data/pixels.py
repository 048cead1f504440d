"""Choose among pictures and join them, wherever they come from: arrays, files, or what is painted when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visionkit.errors import DataError


class Pixels(Protocol):
    """Pictures by index, in memory or on disk; a numpy array satisfies it.

    Images are (H, W, C) uint8, RGB unless the data set says otherwise, masks (H, W) uint8 with 255 = ignore, instance
    maps (H, W) uint8 or uint16. Pictures that lie in files have a method `path(index)` as well; those that are held
    in memory, or made without reading anything, a true attribute `in_memory`.
    """

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        """Return one picture. Raises DataError when its file cannot be used."""


class View:
    """Pictures of one or several sources in an order of their own: picture i is `sources[source[i]][row[i]]`."""

    def __init__(self, sources: Sequence[Pixels], source: NDArray[np.int16], row: NDArray[np.int64]) -> None:
        self.sources = tuple(sources)
        self.source = source
        self.row = row

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        source, row = origin(self, index)
        return source[row]

    @property
    def in_memory(self) -> bool:
        """Whether no source reads a file."""
        return all(in_memory(source) for source in self.sources)


class Absent:
    """The pictures of samples that have none; nobody asks for one."""

    in_memory = True

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        raise DataError(f"sample {index} has no such picture")


def take(pixels: Pixels, indices: NDArray[np.int64]) -> Pixels:
    """Return the pictures at `indices`, in that order."""
    if isinstance(pixels, np.ndarray):
        return pixels[indices]
    if isinstance(pixels, View):
        return View(pixels.sources, pixels.source[indices], pixels.row[indices])
    return View((pixels,), np.zeros(len(indices), dtype=np.int16), indices)


def join(parts: Sequence[Pixels]) -> Pixels:
    """Return the pictures of all parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    source = np.repeat(np.arange(len(parts), dtype=np.int16), [len(part) for part in parts])
    return View(parts, source, np.concatenate([np.arange(len(part), dtype=np.int64) for part in parts]))


def origin(pixels: Pixels, index: int) -> tuple[Pixels, int]:
    """Return the source that a picture comes from, and its index there."""
    if not isinstance(pixels, View):
        return pixels, index
    return origin(pixels.sources[pixels.source[index]], int(pixels.row[index]))


def path_of(pixels: Pixels, index: int) -> Path | None:
    """Return the file of a picture, or None where it comes from none."""
    source, row = origin(pixels, index)
    path = getattr(source, "path", None)
    found = None if path is None else path(row)
    return None if found is None else Path(found)


def in_memory(pixels: Pixels) -> bool:
    """Return whether pictures are handed out without reading a file."""
    return isinstance(pixels, np.ndarray) or bool(getattr(pixels, "in_memory", False))
