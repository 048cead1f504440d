"""Decode images and index masks from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visionkit.data.pictures.jpeg import Jpeg, open_jpeg
from visionkit.data.pictures.raw import ARRAY, decode, is_plain, read_raw
from visionkit.data.pictures.window import Window, upper_bits
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import IGNORE_INDEX, Image

INDEX_MODES = ("L", "P", "1", "I;16", "I")
"""Pillow's names for pictures with one number a pixel; a palette's numbers are kept, its colours are not looked at."""


def decode_image(path: Path, window: Window | None = None) -> Image:
    """Return a file as (H, W, 3) RGB uint8, turned upright by its EXIF orientation, or as a window shows it.

    Grey becomes three equal channels, an alpha channel is dropped, 16 bits are cut to the upper 8, which the log says.

    Raises:
        DataError: The file is missing, empty, too large or no picture, or needs a window.
    """
    if window is not None or not is_plain(path):
        return (window or Window()).apply(read_raw(path), path)
    image = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype == np.uint16:
        image = upper_bits(image, path)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image), dtype=np.uint8)


def decode_index(path: Path) -> NDArray[Any]:
    """Return the numbers stored in a picture of one channel or an array (.npy), as (H, W) of any integer type.

    A palette PNG gives its indices.

    Raises:
        DataError: The file is missing, no picture, too large, or has several channels.
    """
    if path.suffix.lower() == ARRAY:
        return _index_array(path)
    try:
        with PillowImage.open(path) as picture:
            mode = picture.mode
            values = np.asarray(picture) if mode in INDEX_MODES else None
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:  # SyntaxError: PNG chunks
        raise DataError(f"{path}: cannot be read as a mask ({error}); replace or remove the file") from error
    if values is None:
        raise DataError(
            f"{path}: has the colour mode {mode}, but a mask holds one class number a pixel; "
            f"save it as a grey or palette PNG whose pixel values are the class numbers"
        )
    return values.astype(np.uint8) if values.dtype == bool else values


def _index_array(path: Path) -> NDArray[Any]:
    values = read_raw(path)
    if values.shape[2] != 1 or not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            f"{path}: holds {values.dtype} of the shape {values.shape}, but a mask holds one class number a pixel; "
            "save an array (height, width) of whole numbers"
        )
    return values[..., 0]


class ImageFiles:
    """The images of one split, decoded when asked for, as `window` shows them; None for RGB of 8 bits."""

    def __init__(self, root: str | Path, paths: Iterable[str], window: Window | None = None) -> None:
        self.root = Path(root)
        self.paths = paths if isinstance(paths, Strings) else Strings(paths)
        self.window = window

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Image:
        return decode_image(self.path(index), self.window)

    def through(self, window: Window) -> ImageFiles:
        """Return the same files as a window shows them."""
        return ImageFiles(self.root, self.paths, window)

    def jpeg(self, index: int) -> Jpeg | None:
        """Return an image that can be decoded at a fraction of its size; None for one to be decoded as a whole."""
        return open_jpeg(self.path(index)) if self.window is None else None

    def path(self, index: int) -> Path:
        """Return the file of an image."""
        return self.root / self.paths[index]


class MaskFiles:
    """The class-index masks of one split; `ignore` are the source's values for void, which become 255.

    255 itself always means void. Raises DataError for a value outside the classes.
    """

    def __init__(self, root: str | Path, paths: Iterable[str], num_classes: int, ignore: Sequence[int] = ()) -> None:
        self.root = Path(root)
        self.paths = paths if isinstance(paths, Strings) else Strings(paths)
        self.num_classes = num_classes
        self.ignore = tuple(ignore)
        self._known = np.zeros(256, dtype=bool)
        self._known[[*range(num_classes), IGNORE_INDEX, *self.ignore]] = True
        self._new_value = np.arange(256, dtype=np.uint8)
        self._new_value[list(self.ignore)] = IGNORE_INDEX

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Image:
        path = self.path(index)
        values = decode_index(path)
        in_range = values.min(initial=0) >= 0 and values.max(initial=0) <= 255
        small = values.astype(np.uint8, copy=False)
        if not in_range or not cv2.LUT(small, self._known.view(np.uint8)).all():
            wrong = [int(v) for v in np.unique(values) if not 0 <= v <= 255 or not self._known[v]]
            void = ", ".join(str(value) for value in sorted({*self.ignore, IGNORE_INDEX}))
            raise DataError(
                f"{path}: holds the value{'s' if len(wrong) > 1 else ''} {', '.join(map(str, wrong[:8]))}; allowed are "
                f"0 to {self.num_classes - 1} (the classes) and {void} (void); name more classes or another data.ignore"
            )
        return np.asarray(cv2.LUT(small, self._new_value), dtype=np.uint8)  # several times as fast as indexing

    def path(self, index: int) -> Path:
        """Return the file of a mask."""
        return self.root / self.paths[index]
