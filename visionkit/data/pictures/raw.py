"""Read pictures of any depth and any number of channels as their files hold them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from visionkit.data.pictures.size_limit import check_header, check_size
from visionkit.errors import DataError

TIFF: Final = frozenset({".tif", ".tiff"})
"""Suffixes of files that tifffile reads."""

ARRAY: Final = ".npy"
"""Suffix of NumPy's files: arrays (H, W) or (H, W, C)."""

_JPEG = b"\xff\xd8"
_TO_RGB = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}  # OpenCV begins with blue


def is_plain(path: Path) -> bool:
    """Return whether OpenCV makes RGB of a file by itself: of 8 or 16 bits, with up to four channels, no array.

    Reads the header only. Raises DataError for too large a picture, or for a file that cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix in TIFF:
        with _open_tiff(path) as file:
            page = file.pages.first
            check_size(path, page.imagelength, page.imagewidth, page.samplesperpixel)
            return page.samplesperpixel <= 4 and page.dtype in (np.uint8, np.uint16, np.bool_)
    if suffix == ARRAY:
        return False
    check_header(path)
    return True


def read_raw(path: Path) -> NDArray[Any]:
    """Return (H, W, C) numbers of the file's own type; colours come as RGB or RGBA.

    JPEG is turned upright by its EXIF orientation; the rows of other files stay as they lie.

    Raises:
        DataError: The file is missing, broken, too large, or holds no picture of numbers.
    """
    suffix = path.suffix.lower()
    array = _read_array(path) if suffix == ARRAY else _read_tiff(path) if suffix in TIFF else _read_other(path)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise DataError(f"{path}: holds an array of the shape {array.shape}; a picture is (height, width, channels)")
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise DataError(f"{path}: holds values of the type {array.dtype}; whole numbers or floats are needed")
    return array[..., None] if array.ndim == 2 else array


def decode(path: Path, flags: int) -> NDArray[Any]:
    """Return what OpenCV decodes with the given flags, in its own order of colours. Raises DataError."""
    try:
        encoded = np.fromfile(path, dtype=np.uint8)  # imread cannot open every file name on every system
        if encoded[:2].tobytes() == _JPEG and flags == cv2.IMREAD_UNCHANGED:
            flags = cv2.IMREAD_COLOR  # it is turned upright
        image = cv2.imdecode(encoded, flags) if encoded.size else None
    except (OSError, cv2.error) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); replace or remove the file") from error
    if image is None:
        raise DataError(f"{path}: cannot be decoded as an image; replace or remove the file")
    return np.asarray(image)


def _read_other(path: Path) -> NDArray[Any]:
    check_header(path)
    image = decode(path, cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else np.ascontiguousarray(image[..., _TO_RGB[image.shape[2]]])


def _read_array(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # maps the file: takes no memory yet
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an array ({error}); replace or remove the file") from error
    if array.ndim >= 2:
        check_size(path, array.shape[0], array.shape[1], int(np.prod(array.shape[2:])))
    return np.array(array)


@contextmanager
def _open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except DataError:
        raise
    except Exception as error:  # tifffile does not say what it raises at broken files: it is of many kinds
        raise DataError(f"{path}: cannot be read as a TIFF ({error}); replace or remove the file") from error


def _read_tiff(path: Path) -> NDArray[Any]:
    """Return the first picture of a TIFF; a further axis than height and width is that of the channels."""
    with _open_tiff(path) as file:
        series = file.series[0]
        axes = [(name, size) for name, size in zip(series.axes, series.shape, strict=True) if size > 1 or name in "YX"]
        names = "".join(name for name, _ in axes)
        if len(names) > 3 or not {"Y", "X"} <= set(names):
            raise DataError(
                f"{path}: holds a stack of the shape {series.shape} with the axes {series.axes}; a picture has height, "
                "width and one axis of channels; write each as a file of its own"
            )
        sizes = dict(axes)
        check_size(path, sizes["Y"], sizes["X"], int(np.prod(series.shape)) // (sizes["Y"] * sizes["X"]))
        try:
            array = series.asarray().reshape([size for _, size in axes])
        except ValueError as error:
            if "imagecodecs" in str(error) and file.pages.first.samplesperpixel <= 4 and len(file.pages) == 1:
                return _read_other(path)  # OpenCV knows the common compressions
            raise
        return np.moveaxis(array, [names.index("Y"), names.index("X")], [0, 1])
