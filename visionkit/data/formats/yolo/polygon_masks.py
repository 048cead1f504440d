"""Draw polygons as masks when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class PolygonMasks:
    """A mask an image, drawn of its polygons: pixels of polygon m get `values[m]`, all others 0.

    The polygon of fewer pixels lies on top, of equal ones the later. Which pixels a polygon has is what COCO's
    own tools say.

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
        polygons = [self._corners[self._corner_start[row] : self._corner_start[row + 1]] for row in rows]
        drawn = [_draw(polygon, height, width) for polygon in polygons]
        for row, (place, pixels) in sorted(zip(rows, drawn, strict=True), key=lambda item: -item[1][1].sum()):
            mask[place][pixels] = self._values[row]
        return mask


def _draw(polygon: NDArray[np.float32], height: int, width: int) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Return the part of an image that a polygon may cover, and which of its pixels it does."""
    from faster_coco_eval.core import mask as coco_mask  # a third of a second, which boxes do without

    size = np.asarray([width, height])
    low = np.clip(np.floor(polygon.min(axis=0)), 0, size).astype(int)
    high = np.clip(np.ceil(polygon.max(axis=0)), low, size).astype(int)
    (left, top), (right, bottom) = low.tolist(), high.tolist()
    place = slice(top, bottom), slice(left, right)
    if left == right or top == bottom:
        return place, np.zeros((bottom - top, right - left), dtype=bool)
    corners = (polygon - low).astype(np.float64).ravel().tolist()
    runs = coco_mask.frPyObjects([corners], bottom - top, right - left)
    return place, np.asarray(coco_mask.decode(runs)[..., 0] > 0)
