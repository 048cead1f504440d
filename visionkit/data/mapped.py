"""Open an array in a file without reading it, so that every process shares the same pages of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np


class Mapped(np.ndarray[Any, np.dtype[Any]]):
    """A read-only array that lies in a .npy file; another process is sent the file's name instead of the values.

    What is cut or computed from it is an ordinary array.
    """

    file: Path | None

    @classmethod
    def open(cls, file: Path) -> Self:
        """Return the array of a .npy file. Raises OSError or ValueError when it cannot be used."""
        array: Self = np.load(file, mmap_mode="r", allow_pickle=False).view(cls)
        array.file = file
        return array

    def __array_finalize__(self, source: object) -> None:
        self.file = None  # what is made from an array of a file is not all of that file

    def __getitem__(self, index: Any) -> Any:
        return self.view(np.ndarray)[index]

    def __reduce__(self) -> Any:
        return super().__reduce__() if self.file is None else (type(self).open, (self.file,))
