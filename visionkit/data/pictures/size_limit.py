"""Refuse pictures that are too large for the machine, by their header, before memory is taken for them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from visionkit.errors import DataError

MAX_PIXELS: Final = 178_956_970
"""Pillow's own limit (half a GiB of RGB), which holds for whatever reads a file."""

_USUAL_CHANNELS = 4
"""Up to so many channels a picture is not larger than its pixels say."""


def check_size(path: Path, height: int, width: int, channels: int = _USUAL_CHANNELS) -> None:
    """Raise DataError for a picture of more than `MAX_PIXELS`; of more than four channels, it may have fewer."""
    allowed = MAX_PIXELS * _USUAL_CHANNELS // max(channels, _USUAL_CHANNELS)
    if height * width > allowed:
        raise DataError(
            f"{path}: is {height} x {width} pixels (height x width), which is more than the {allowed:,} that are read; "
            "cut it into tiles or shrink it"
        )


def check_header(path: Path) -> None:
    """Look at the header of a file and raise DataError for too large a picture, or for a file that cannot be opened.

    What Pillow does not know, it lets pass.
    """
    try:
        with PillowImage.open(path) as picture:
            check_size(path, picture.height, picture.width)
    except PillowImage.DecompressionBombError as error:
        raise _too_large(path, error) from None
    except UnidentifiedImageError:
        return
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError for broken PNG chunks
        raise DataError(f"{path}: cannot be read as an image ({error}); replace or remove the file") from error


def _too_large(path: Path, error: PillowImage.DecompressionBombError) -> DataError:
    """Return what to raise in place of Pillow's refusal, whose text has the number of pixels."""
    return DataError(f"{path}: is too large: {str(error).split(', could')[0]}; cut it into tiles or shrink it")
