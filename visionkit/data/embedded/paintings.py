"""Hold the pictures of arranged scenes, each painted when it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.data.embedded.scenes import Scene, paint


class Paintings:
    """Pictures by index, (H, W, 3) RGB uint8. A scene is let go of when its picture is painted, which is kept.

    A loader's worker paints what it is asked for by itself.
    """

    in_memory = True

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes: list[Scene | None] = list(scenes)
        self._pictures = np.zeros((len(scenes), *scenes[0].size, 3), dtype=np.uint8)  # no memory before it is written

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._scenes)

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """Return one picture."""
        scene = self._scenes[index]
        if scene is not None:
            self._pictures[index] = paint(scene)
            self._scenes[index] = None
        picture: NDArray[np.uint8] = self._pictures[index]
        return picture

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all pictures, (N, H, W, 3), for `np.asarray`."""
        for index in range(len(self)):
            self[index]
        return np.array(self._pictures, dtype=dtype, copy=copy)
