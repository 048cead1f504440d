"""Draw polygons as masks when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class PolygonMasks:
    """A mask an image, drawn of its polygons: pixels of polygon m get `values[m]`, all others 0.

    The smaller polygon (by area) lies on top. A pixel belongs to a polygon as COCO's own tools have it.

    Args:
        sizes: (N, 2) Height and width of the images.
        start: (N + 1,) Where the polygons of each image begin.
        corners: (P, 2) x and y in pixels of the corners of all polygons, one behind the other.
        corner_start: (M + 1,) Where the corners of each polygon begin.
        values: (M,) What is drawn.
        dtype: Of the masks.
    """

    in_memory = True

    def __init__(
        self,
        sizes: NDArray[np.int64],
        start: NDArray[np.int64],
        corners: NDArray[np.float32],
        corner_start: NDArray[np.int64],
        values: NDArray[np.int64],
        dtype: type[np.unsignedinteger[Any]],
    ) -> None:
        self._sizes = sizes
        self._start = start
        self._corners = corners
        self._corner_start = corner_start
        self._values = values
        self._dtype = dtype

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        height, width = self._sizes[index].tolist()
        mask = np.zeros((height, width), dtype=self._dtype)
        rows = range(int(self._start[index]), int(self._start[index + 1]))
        polygons = {row: self._corners[self._corner_start[row] : self._corner_start[row + 1]] for row in rows}
        for row, polygon in sorted(polygons.items(), key=lambda item: -_area(item[1])):
            _draw(mask, polygon, int(self._values[row]))
        return mask


def _area(polygon: NDArray[np.float32]) -> float:
    x, y = polygon.astype(np.float64).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _draw(mask: NDArray[Any], polygon: NDArray[np.float32], value: int) -> None:
    """Set the pixels of a polygon; only the rectangle around it is looked at."""
    from faster_coco_eval.core import mask as coco_mask  # a third of a second, which boxes do without

    low = np.floor(polygon.min(axis=0)).clip(min=0).astype(int)
    high = np.minimum(np.ceil(polygon.max(axis=0)).astype(int), mask.shape[::-1])
    if (high <= low).any():
        return
    (left, top), (right, bottom) = low.tolist(), high.tolist()
    shape = (bottom - top, right - left)
    runs = coco_mask.frPyObjects([(polygon - low).astype(np.float64).ravel().tolist()], *shape)
    mask[top:bottom, left:right][coco_mask.decode(runs)[..., 0] > 0] = value
