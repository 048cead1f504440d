"""Read a JPEG's size without decoding it, and decode it at a fraction of its size."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import simplejpeg

from visionkit.data.pictures.size_limit import MAX_PIXELS
from visionkit.types import Image

_ORIENTATION: Final = 0x0112
"""The EXIF tag that says how a picture is turned."""

_TRANSPOSED: Final = (5, 6, 7, 8)
_FLIPS: Final = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
"""By orientation the axis that `cv2.flip` takes, after transposing."""


@dataclass(frozen=True)
class Jpeg:
    """A colour JPEG in memory. `size` is (height, width) as it is seen, turned upright by its EXIF orientation."""

    encoded: bytes
    stored: tuple[int, int]
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright picture."""
        return self.stored[::-1] if self.orientation in _TRANSPOSED else self.stored

    def divisible(self, factor: int) -> bool:
        """Return whether a picture decoded at 1/factor lies on the same grid as the upright one."""
        return self.orientation == 1 or not (self.stored[0] % factor or self.stored[1] % factor)

    def decode(self, factor: int = 1) -> Image | None:
        """Return the upright RGB picture, its sides divided by `factor` (1, 2, 4 or 8) and rounded up.

        None when the file is damaged. At full size it is to the bit what OpenCV makes of it.
        """
        height, width = (-(-side // factor) for side in self.stored)
        try:
            image = simplejpeg.decode_jpeg(self.encoded, "RGB", min_height=height, min_width=width)
        except ValueError:
            return None
        if self.orientation in _TRANSPOSED:
            image = cv2.transpose(image)
        if self.orientation in _FLIPS:
            image = cv2.flip(image, _FLIPS[self.orientation])
        return np.asarray(image, dtype=np.uint8)


def open_jpeg(path: Path) -> Jpeg | None:
    """Return the JPEG of a file; None for another format, a grey or CMYK or huge one, and what cannot be read."""
    try:
        encoded = path.read_bytes()
        if not encoded.startswith(b"\xff\xd8"):
            return None
        height, width, colours, _ = simplejpeg.decode_jpeg_header(encoded)
        if colours != "YCbCr" or height * width > MAX_PIXELS:
            return None
        return Jpeg(encoded, (height, width), _orientation(encoded))
    except (OSError, ValueError, struct.error):
        return None  # whoever decodes it as a whole says what is wrong


def _orientation(encoded: bytes) -> int:
    """Return the EXIF orientation, 1 to 8. Raises struct.error for a file that is cut off in its header."""
    place = 2
    while True:
        marker, length = struct.unpack_from(">HH", encoded, place)
        if marker == 0xFFDA or marker >> 8 != 0xFF:  # the picture itself begins
            return 1
        if marker == 0xFFE1 and encoded[place + 4 : place + 10] == b"Exif\0\0":
            return _in_tiff(encoded[place + 10 : place + 2 + length])
        place += 2 + length


def _in_tiff(header: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(header[:2])
    if order is None:
        return 1
    (start,) = struct.unpack_from(f"{order}I", header, 4)
    (count,) = struct.unpack_from(f"{order}H", header, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", header, entry)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1
