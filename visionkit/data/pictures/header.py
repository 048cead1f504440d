"""Read the size of an image from its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import ExifTags
from PIL import Image as PillowImage

from visionkit.errors import DataError

LYING: Final = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""


def upright_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image as `decode_image` gives it, turned upright, without decoding a pixel.

    Raises:
        DataError: The file is missing, no picture, or larger than Pillow deems safe.
    """
    try:
        with PillowImage.open(path) as picture:
            width, height = picture.size
            # Pillow turns TIFF by itself, and looks for a PNG's orientation behind the pixels unless it came before.
            asks = picture.format != "TIFF" and (picture.format != "PNG" or "exif" in picture.info)
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1) if asks else 1
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); replace or remove the file") from error
    return (width, height) if orientation in LYING else (height, width)
