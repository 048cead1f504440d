"""Open an image without decoding it, so that its size can say how much of it has to be decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionkit.data.pictures.jpeg import Jpeg
from visionkit.data.pixels import Pixels, origin
from visionkit.types import Image


@dataclass(frozen=True)
class Picture:
    """Image `index` of some pixels: a JPEG that is not decoded yet, or else one as a whole."""

    pixels: Pixels
    index: int
    opened: Jpeg | Image

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        if isinstance(self.opened, Jpeg):
            return self.opened.size
        return self.opened.shape[0], self.opened.shape[1]

    def divisible(self, factor: int) -> bool:
        """Return whether what is decoded at 1/factor lies on the same grid as the whole."""
        return not isinstance(self.opened, Jpeg) or self.opened.divisible(factor)

    def decode(self, factor: int) -> tuple[Image, int]:
        """Return the image at 1/factor if that is quicker, else as a whole, and by how much it is smaller.

        Raises DataError when its file cannot be used.
        """
        if not isinstance(self.opened, Jpeg):
            return self.opened, 1
        image = self.opened.decode(factor)
        if image is None:  # damaged: OpenCV may still make something of it, as in evaluation, or says what is wrong
            return np.asarray(self.pixels[self.index]), 1
        return image, factor


def open_picture(pixels: Pixels, index: int) -> Picture:
    """Return an image, decoded only where its format asks for it. Raises DataError when its file cannot be used."""
    source, row = origin(pixels, index)
    jpeg = getattr(source, "jpeg", None)
    opened = None if jpeg is None else jpeg(row)
    return Picture(source, row, np.asarray(source[row]) if opened is None else opened)
