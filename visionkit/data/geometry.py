"""Bring images of any size to the network's size, and its results back: resize to fit, pad, and the exact inverse.

One convention holds throughout: pixel i covers the interval [i, i + 1), box coordinates are positions on that axis, and
resizing maps edge to edge. Images, masks, boxes and scores therefore stay aligned to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.pictures.resize import resize
from visionkit.types import IGNORE_INDEX, Image

if TYPE_CHECKING:
    from torch import Tensor

PAD_VALUE: Final = 114
"""The grey around an image: about the mean of natural images, so near 0 after normalisation."""

AREA_BELOW: Final = 0.5
"""Linear interpolation reads 2 x 2 source pixels: down to a half it skips none. Below, areas are averaged instead."""


FACTORS: Final = (8, 4, 2)
"""By how much a picture may be decoded smaller; a JPEG's other factors are slower than its full size."""


@dataclass(frozen=True)
class Fit:
    """Resizes to fit into `size` (height, width), keeping the aspect, and pads evenly around."""

    size: tuple[int, int]

    def place(self, height: int, width: int) -> Placement:
        """Return the geometry of one image of the given size. Raises ValueError for an empty one."""
        _refuse_empty(height, width)
        scale = min(self.size[0] / height, self.size[1] / width)
        inner = (
            min(self.size[0], max(1, int(height * scale + 0.5))),
            min(self.size[1], max(1, int(width * scale + 0.5))),
        )
        corner = ((self.size[0] - inner[0]) // 2, (self.size[1] - inner[1]) // 2)
        return Placement((height, width), (0, 0, height, width), inner, corner, self.size)


@dataclass(frozen=True)
class Crop:
    """Resizes the middle of an image, as large as the aspect of `size` (height, width) allows, to exactly `size`."""

    size: tuple[int, int]

    def place(self, height: int, width: int) -> Placement:
        """Return the geometry of one image of the given size. Raises ValueError for an empty one."""
        _refuse_empty(height, width)
        scale = max(self.size[0] / height, self.size[1] / width)
        inside = (
            min(height, max(1, int(self.size[0] / scale + 0.5))),
            min(width, max(1, int(self.size[1] / scale + 0.5))),
        )
        window = ((height - inside[0]) // 2, (width - inside[1]) // 2, *inside)
        return Placement((height, width), window, self.size, (0, 0), self.size)


Resize = Fit | Crop
"""How an image is brought to the network's size, without chance."""

RESIZES: Final[dict[str, type[Fit] | type[Crop]]] = {"fit": Fit, "crop": Crop}
"""What `data.resize` may name."""


@dataclass(frozen=True)
class Placement:
    """Where one image comes to lie: `window` of `source`, resized to `inner`, its corner at `corner` of `target`.

    All are (height, width) in pixels; `window` is (top, left, height, width) and lies inside the source. With `mirror`
    the whole target is turned left to right at the end. Sides are rounded to whole pixels, so the two scale factors may
    differ a little.
    """

    source: tuple[int, int]
    window: tuple[int, int, int, int]
    inner: tuple[int, int]
    corner: tuple[int, int]
    target: tuple[int, int]
    mirror: bool = False

    @property
    def factor(self) -> NDArray[np.float64]:
        """Target pixels a source pixel along x, y, x, y."""
        y, x = (inner / window for inner, window in zip(self.inner, self.window[2:], strict=True))
        return np.asarray([x, y, x, y])

    @property
    def shift(self) -> NDArray[np.float64]:
        """Where the source's corner comes to lie, as x, y, x, y in target pixels, before the mirror."""
        top, left = self.window[:2]
        return np.asarray([self.corner[1], self.corner[0]] * 2) - np.asarray([left, top] * 2) * self.factor

    @property
    def whole(self) -> bool:
        """Whether all of the source is seen."""
        return self.window == (0, 0, *self.source)

    @property
    def reduction(self) -> int:
        """The largest of `FACTORS` at which the snapped window still has the pixels of `inner`, or 1."""
        for factor in FACTORS:
            least = (self.inner[0] * factor, self.inner[1] * factor)
            if self.window[2] >= least[0] and self.window[3] >= least[1]:
                _, _, height, width = self.snapped(factor).window
                if height >= least[0] and width >= least[1]:
                    return factor
        return 1

    def snapped(self, factor: int) -> Placement:
        """Return the placement whose window's sides lie on multiples of `factor`: up to `factor` - 1 pixels are lost.

        So a picture decoded at a fraction of its size is cut exactly where its labels are.
        """
        if factor == 1:
            return self
        top, left, height, width = self.window
        first = (-(-top // factor) * factor, -(-left // factor) * factor)
        last = ((top + height) // factor * factor, (left + width) // factor * factor)
        return replace(self, window=(*first, last[0] - first[0], last[1] - first[1]))

    @property
    def restore(self) -> Restoration:
        """The exact inverse."""
        return Restoration(self)

    def image(self, image: Image, reduced: int = 1) -> Image:
        """Return the placed image, padded with grey.

        `reduced` says by how much the image was decoded smaller than `source`; the window's sides are multiples of it.

        Below `AREA_BELOW`, the image is halved by exact means of 2 x 2 pixels as long as its sides are even, which is
        ten times as fast as averaging over other areas; then what is left is averaged, or interpolated linearly.
        """
        image = self._cut(image, reduced)
        height, width = image.shape[:2]
        while self._is_below(height, width) and height % 2 == 0 and width % 2 == 0:
            height, width = height // 2, width // 2
            image = resize(image, height, width, cv2.INTER_AREA)
        interpolation = cv2.INTER_AREA if self._is_below(height, width) else cv2.INTER_LINEAR
        return self._place(image, interpolation, PAD_VALUE)

    def mask(self, mask: NDArray[np.uint8], fill: int = IGNORE_INDEX) -> NDArray[np.uint8]:
        """Return the placed mask: the value at the pixel's centre; padded with `fill`."""
        return self._place(self._cut(mask), cv2.INTER_NEAREST_EXACT, fill)  # INTER_NEAREST reads half a pixel off

    def boxes(self, boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes x1 y1 x2 y2 in target pixels, not clipped."""
        placed = boxes_N4 * self.factor + self.shift
        if self.mirror:
            placed[:, [0, 2]] = self.target[1] - placed[:, [2, 0]]
        return placed.astype(np.float32)

    def _is_below(self, height: int, width: int) -> bool:
        """Whether bringing a picture of this size to `inner` shrinks it to less than `AREA_BELOW`."""
        return max(self.inner[0] / height, self.inner[1] / width) < AREA_BELOW

    def _cut(self, picture: NDArray[np.uint8], reduced: int = 1) -> NDArray[np.uint8]:
        """Return the window of a picture, which shares its memory."""
        if picture.shape[:2] != tuple(-(-side // reduced) for side in self.source):
            at = f", at 1/{reduced} of it" if reduced > 1 else ""
            raise ValueError(f"the picture is {picture.shape[:2]}, this placement is for {self.source}{at}")
        if self.whole and reduced == 1:
            return picture
        top, left, height, width = (each // reduced for each in self.window)
        return picture[top : top + height, left : left + width]

    def _place(self, picture: NDArray[np.uint8], interpolation: int, fill: int) -> NDArray[np.uint8]:
        placed: NDArray[np.uint8] = picture
        if self.inner != picture.shape[:2]:
            placed = resize(placed, *self.inner, interpolation)
        if self.inner != self.target:
            (top, left), (height, width) = self.corner, self.inner
            canvas = np.full((*self.target, *placed.shape[2:]), fill, dtype=placed.dtype)
            canvas[top : top + height, left : left + width] = placed
            placed = canvas
        if self.mirror:
            placed = np.asarray(cv2.flip(placed, 1), dtype=placed.dtype).reshape(placed.shape)
        return placed


def _refuse_empty(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height} x {width} pixels cannot be resized")


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
        """Return (K, height, width) of the user's image by linear interpolation; the padding is cut off first.

        Raises ValueError when the network saw but a part of the image.
        """
        if not self.placement.whole or self.placement.mirror:
            raise ValueError("scores can be mapped back for images that the network saw as a whole, not mirrored")
        (top, left), (inner_height, inner_width) = self.placement.corner, self.placement.inner
        inside = scores_KHW[:, top : top + inner_height, left : left + inner_width].detach().float().cpu().numpy()
        height, width = self.size
        restored = np.empty((len(inside), height, width), dtype=np.float32)
        for plane, scores in zip(restored, inside, strict=True):
            plane[:] = cv2.resize(np.ascontiguousarray(scores), (width, height), interpolation=cv2.INTER_LINEAR)
        return restored
