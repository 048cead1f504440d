"""Give index pictures other values when one is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.data.pixels import Pixels, in_memory, path_of


class Recoded:
    """Masks or instance maps in which the value v becomes `values[v]`, or in picture i `values[start[i] + v]`.

    `values` are uint8 or uint16, as the pictures then are.
    """

    def __init__(self, source: Pixels, values: NDArray[Any], start: NDArray[np.int64] | None = None) -> None:
        self.source = source
        self.values = values
        self.start = start

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        values = self.values if self.start is None else self.values[self.start[index] : self.start[index + 1]]
        return np.asarray(values[self.source[index]])

    @property
    def in_memory(self) -> bool:
        """Whether the source reads no file."""
        return in_memory(self.source)

    def path(self, index: int) -> Path | None:
        """Return the file of a picture, or None where it comes from none."""
        return path_of(self.source, index)
