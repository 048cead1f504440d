"""Read instance maps from files: numbered in one picture, or a picture an object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.pictures.files import decode_index
from visionkit.data.pixels import Pixels
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import Image


class LabelMaps:
    """Pictures whose value 0 is background and every other one an object; the values are made 1, 2, ... in order."""

    def __init__(self, root: Path, paths: Strings) -> None:
        self.root = root
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        numbers = decode_index(self.path(index))
        values = np.unique(numbers)
        values = values[values != 0]
        rank = np.searchsorted(values, numbers) + 1
        return np.where(numbers == 0, 0, rank).astype(smallest(len(values)))

    def path(self, index: int) -> Path:
        """Return the file of a map."""
        return self.root / self.paths[index]


class ObjectFiles:
    """Maps put together from a mask an object; `start` (N + 1,) says where the files of each map begin.

    Where masks overlap, the later one lies on top.
    """

    def __init__(self, root: Path, paths: Strings, start: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        self.root = root
        self.paths = paths
        self._start = start
        self._sizes = sizes  # (N, 2), height and width

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        first, last = self._start[index : index + 2].tolist()
        height, width = self._sizes[index].tolist()
        instances = np.zeros((height, width), dtype=smallest(last - first))
        for number, row in enumerate(range(first, last), start=1):
            instances[decode_object(self.root / self.paths[row])] = number
        return instances


class Foreground:
    """The class masks of instance maps: 1 where there is an object."""

    def __init__(self, instances: Pixels) -> None:
        self.instances = instances

    def __len__(self) -> int:
        return len(self.instances)

    def __getitem__(self, index: int, /) -> Image:
        return (self.instances[index] > 0).astype(np.uint8)


def smallest(largest: int) -> type[np.uint8] | type[np.uint16]:
    """Return the type of a map of so many objects."""
    return np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16


def decode_object(path: Path) -> NDArray[np.bool_]:
    """Return where a mask of one object is not black, (H, W). Raises DataError when it cannot be read."""
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
        picture = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except (OSError, cv2.error) as error:
        raise DataError(f"{path}: cannot be read as a mask ({error}); replace or remove the file") from error
    if picture is None:
        raise DataError(f"{path}: cannot be decoded as a mask; replace or remove the file")
    return np.asarray(picture[..., :3].any(axis=2) if picture.ndim == 3 else picture > 0)
