"""Bring images of any size to the network's size, and its results back: resize to fit, pad, and the exact inverse.

One convention holds throughout: pixel i covers the interval [i, i + 1), box coordinates are positions on that axis, and
resizing maps edge to edge. Images, masks, boxes and scores therefore stay aligned to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.resize import resize
from visionkit.types import IGNORE_INDEX, Image

if TYPE_CHECKING:
    from torch import Tensor

PAD_VALUE: Final = 114
"""The grey around an image: about the mean of natural images, so near 0 after normalisation."""

AREA_BELOW: Final = 0.5
"""Linear interpolation reads 2 x 2 source pixels: down to a half it skips none. Below, areas are averaged instead."""


@dataclass(frozen=True)
class Fit:
    """Resizes to fit into `size` (height, width), keeping the aspect, and pads evenly around."""

    size: tuple[int, int]

    def place(self, height: int, width: int) -> Placement:
        """Return the geometry of one image of the given size. Raises ValueError for an empty one."""
        if height < 1 or width < 1:
            raise ValueError(f"an image of {height} x {width} pixels cannot be resized")
        scale = min(self.size[0] / height, self.size[1] / width)
        inner = (
            min(self.size[0], max(1, int(height * scale + 0.5))),
            min(self.size[1], max(1, int(width * scale + 0.5))),
        )
        corner = ((self.size[0] - inner[0]) // 2, (self.size[1] - inner[1]) // 2)
        return Placement(source=(height, width), inner=inner, corner=corner, target=self.size)


@dataclass(frozen=True)
class Placement:
    """Where one image comes to lie: resized from `source` to `inner`, its corner at `corner` of `target`.

    All are (height, width) in pixels. Sides are rounded to whole pixels, so the two scale factors may differ a little.
    """

    source: tuple[int, int]
    inner: tuple[int, int]
    corner: tuple[int, int]
    target: tuple[int, int]

    @property
    def factor(self) -> NDArray[np.float64]:
        """Target pixels a source pixel along x, y, x, y."""
        y, x = (inner / source for inner, source in zip(self.inner, self.source, strict=True))
        return np.asarray([x, y, x, y])

    @property
    def shift(self) -> NDArray[np.float64]:
        """The corner as x, y, x, y in target pixels."""
        return np.asarray([self.corner[1], self.corner[0]] * 2, dtype=np.float64)

    @property
    def restore(self) -> Restoration:
        """The exact inverse."""
        return Restoration(self)

    def image(self, image: Image) -> Image:
        """Return the placed image, padded with grey.

        Below `AREA_BELOW`, the image is halved by exact means of 2 x 2 pixels as long as its sides are even, which is
        ten times as fast as averaging over other areas; then what is left is averaged, or interpolated linearly.
        """
        self._check(image)
        height, width = self.source
        while self._is_below(height, width) and height % 2 == 0 and width % 2 == 0:
            height, width = height // 2, width // 2
            image = resize(image, height, width, cv2.INTER_AREA)
        interpolation = cv2.INTER_AREA if self._is_below(height, width) else cv2.INTER_LINEAR
        return self._place(image, interpolation, PAD_VALUE)

    def mask(self, mask: NDArray[np.uint8], fill: int = IGNORE_INDEX) -> NDArray[np.uint8]:
        """Return the placed mask: the value at the pixel's centre; padded with `fill`."""
        self._check(mask)
        return self._place(mask, cv2.INTER_NEAREST_EXACT, fill)  # INTER_NEAREST reads half a pixel off

    def boxes(self, boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes x1 y1 x2 y2 in target pixels, not clipped."""
        return (boxes_N4 * self.factor + self.shift).astype(np.float32)

    def _is_below(self, height: int, width: int) -> bool:
        """Whether bringing a picture of this size to `inner` shrinks it to less than `AREA_BELOW`."""
        return max(self.inner[0] / height, self.inner[1] / width) < AREA_BELOW

    def _check(self, picture: NDArray[np.uint8]) -> None:
        if picture.shape[:2] != self.source:
            raise ValueError(f"the picture is {picture.shape[:2]}, this placement is for {self.source}")

    def _place(self, picture: NDArray[np.uint8], interpolation: int, fill: int) -> NDArray[np.uint8]:
        placed: NDArray[np.uint8] = picture
        if self.inner != picture.shape[:2]:
            placed = resize(placed, *self.inner, interpolation)
        if self.inner != self.target:
            (top, left), (height, width) = self.corner, self.inner
            canvas = np.full((*self.target, *placed.shape[2:]), fill, dtype=placed.dtype)
            canvas[top : top + height, left : left + width] = placed
            placed = canvas
        return placed


@dataclass(frozen=True)
class Restoration:
    """Maps results in the network's pixels back to the user's image (`visionkit.types.Restore`)."""

    placement: Placement

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the user's image."""
        return self.placement.source

    def boxes(self, boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes x1 y1 x2 y2 in the user's pixels, clipped to the image."""
        height, width = self.size
        restored = (boxes_N4 - self.placement.shift) / self.placement.factor
        return np.clip(restored, 0, [width, height, width, height]).astype(np.float32)

    def scores(self, scores_KHW: Tensor) -> NDArray[np.float32]:
        """Return (K, height, width) of the user's image by linear interpolation; the padding is cut off first."""
        (top, left), (inner_height, inner_width) = self.placement.corner, self.placement.inner
        inside = scores_KHW[:, top : top + inner_height, left : left + inner_width].detach().float().cpu().numpy()
        height, width = self.size
        restored = np.empty((len(inside), height, width), dtype=np.float32)
        for plane, scores in zip(restored, inside, strict=True):
            plane[:] = cv2.resize(np.ascontiguousarray(scores), (width, height), interpolation=cv2.INTER_LINEAR)
        return restored
