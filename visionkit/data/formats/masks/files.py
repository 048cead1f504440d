"""Open the class masks of a split: numbers, or colours that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visionkit.data.formats.masks.classes import LISTS, Colour, MaskClasses
from visionkit.data.pictures.files import INDEX_MODES, MaskFiles
from visionkit.data.pixels import Pixels
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import Image

SHOWN: Final = 12
"""Colours that a message lists."""


def mask_files(root: Path, paths: Strings, classes: MaskClasses, ignore: Sequence[int]) -> Pixels:
    """Return the masks at `paths`, which hold numbers or colours as the first of them does.

    Raises DataError when they are painted and nothing says what the colours mean.
    """
    painted = painted_mask(root, paths)
    if painted is None:
        return MaskFiles(root, paths, len(classes.names), ignore)
    if classes.colours is None:
        raise unnamed_colours(root, painted)
    return ColourMaskFiles(root, paths, classes.colours)


def painted_mask(root: Path, paths: Iterable[str]) -> Path | None:
    """Return the first mask where it holds colours, or None where it holds numbers."""
    for path in paths:
        try:
            with PillowImage.open(root / path) as picture:
                return None if picture.mode in INDEX_MODES else root / path
        except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
            continue  # named when it is decoded; the next one tells as well
    return None


def unnamed_colours(root: Path, path: Path) -> DataError:
    """Return the error for a painted mask of which nothing says what its colours mean."""
    return DataError(
        f"{path}: is painted, and nothing says what its colours mean; it holds {_listing(_codes(path))}. Name them by "
        f"data.colours={{road:[128,64,128],sky:[70,130,180]}} or by lines such as road:128,64,128 in "
        f"{root / LISTS[0]}, or save masks whose pixel values are the class numbers"
    )


class ColourMaskFiles:
    """The painted masks of one split as class numbers. Raises DataError for a colour that stands for nothing."""

    def __init__(self, root: Path, paths: Strings, colours: Mapping[Colour, int]) -> None:
        self.root = root
        self.paths = paths
        codes = np.asarray([red << 16 | green << 8 | blue for red, green, blue in colours], dtype=np.int32)
        order = np.argsort(codes)
        self._codes = codes[order]
        self._values = np.asarray(list(colours.values()), dtype=np.uint8)[order]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Image:
        path = self.path(index)
        codes = _codes(path)
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        wrong = self._codes[place] != codes
        if wrong.any():
            raise DataError(
                f"{path}: has the colour {_listing(codes[wrong])}, which stands for no class; allowed are "
                f"{_listing(self._codes)}; name it, or save the mask without smoothing and as PNG"
            )
        return np.asarray(self._values[place], dtype=np.uint8)

    def path(self, index: int) -> Path:
        """Return the file of a mask."""
        return self.root / self.paths[index]


def _codes(path: Path) -> NDArray[np.int32]:
    """Return the colours of a picture as (H, W) numbers 0xRRGGBB; an alpha channel is dropped."""
    try:
        with PillowImage.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"), dtype=np.int32)
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as a mask ({error}); replace or remove the file") from error
    return np.asarray(pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2])


def _listing(codes: NDArray[Any]) -> str:
    found = np.unique(codes).tolist()
    shown = ", ".join(f"[{code >> 16},{code >> 8 & 255},{code & 255}]" for code in found[:SHOWN])
    return f"{shown} and {len(found) - SHOWN} more" if len(found) > SHOWN else shown
