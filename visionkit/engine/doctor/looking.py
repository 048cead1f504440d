"""Look at one picture: whether its file can be used, what it is like, and a small grey copy to know it again by."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visionkit.data.pictures.signature import belongs, signature
from visionkit.data.pictures.size_limit import MAX_PIXELS
from visionkit.data.pixels import Pixels, path_of
from visionkit.errors import DataError

SIDE: Final = 16
"""Pixels of the grey copy, down and across."""

DETAIL: Final = 128
"""Pixels of the grey picture that copies are proved on, down and across."""

FLAT: Final = 2.0
"""A picture whose grey values spread less (standard deviation, of 255) shows nothing to know it by."""

NOTES: Final = ("turned", "grey", "alpha", "deep", "cmyk", "blank", "wrong_extension")
"""What a picture may be like besides usable; the bits of `Look.notes`."""

FACTS: Final = np.dtype(
    [("height", "i4"), ("width", "i4"), ("notes", "u1"), ("digest", "V16"), ("small", "u1", (SIDE, SIDE))]
)
"""What is kept of each picture. Height 0: it cannot be used."""

_COMMON = frozenset({"JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP", "PPM"})
"""Formats, as Pillow calls them, that training reads as surely as Pillow does."""

# How a picture is turned upright by its EXIF orientation.
_UPRIGHT: Final[dict[int, Any]] = {
    2: np.fliplr,
    3: lambda grey: np.rot90(grey, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda grey: np.rot90(grey, -1),
    7: lambda grey: np.rot90(np.transpose(grey), 2),
    8: np.rot90,
}


class UnusableError(Exception):
    """A picture that training cannot use; `code` is that of the finding."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Look(NamedTuple):
    """One picture as it was seen."""

    grey: NDArray[np.uint8]
    """Upright, at full or reduced size."""
    height: int
    width: int
    notes: frozenset[str]
    """Entries of `NOTES`."""
    digest: bytes
    """Of the file's bytes, or of the pixels where there is no file."""
    holds: str = ""
    """The format of the content, as Pillow calls it."""


def look(images: Pixels, index: int) -> Look:
    """Open a picture completely, so that damage is noticed. Raises UnusableError."""
    path = path_of(images, index)
    if path is None:
        image = np.asarray(images[index])
        grey = image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        return Look(grey, image.shape[0], image.shape[1], _blank(grey), digest)
    try:
        seen = look_at(path)
    except UnusableError as error:
        if error.code != "unreadable" or not path.is_file():
            raise
        return _by_reader(images, index, path)  # a format of the reader's own, or one that Pillow does not know
    return seen if seen.holds in _COMMON else _by_reader(images, index, path)


def _by_reader(images: Pixels, index: int, path: Path) -> Look:
    """Look at what training gets of a file, None of whose notes are known. Raises UnusableError."""
    try:
        image = np.asarray(images[index])
    except DataError as error:
        said = " ".join(str(error).removeprefix(f"{path}: ").split())
        raise UnusableError("unreadable", said) from error
    grey = image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    return Look(grey, image.shape[0], image.shape[1], _blank(grey), digest)


def look_at(path: Path) -> Look:
    """Open the picture of a file completely. Raises UnusableError."""
    try:
        encoded = path.read_bytes()
    except OSError as error:
        code = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        raise UnusableError(code, f"cannot be opened ({error.strerror})") from error
    if not encoded:
        raise UnusableError("empty", "holds no bytes")
    return _decoded(path, encoded)


def _decoded(path: Path, encoded: bytes) -> Look:
    form = signature(encoded[:12])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd tags
            with PillowImage.open(io.BytesIO(encoded)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise UnusableError("too_large", _large(picture.width, picture.height))
                orientation = int(picture.getexif().get(0x0112, 1))
                notes = _notes(picture, encoded) | ({"turned"} if orientation in _UPRIGHT else set())
                holds = str(picture.format)
                grey = _grey(picture, encoded)
                width, height = picture.size
                if holds == "TIFF":  # which Pillow has turned by itself when it was decoded
                    orientation = 1
    except PillowImage.DecompressionBombError as error:
        raise UnusableError(
            "too_large", f"says that it is larger than {MAX_PIXELS / 1e6:.0f} million pixels"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # Pillow raises SyntaxError for broken PNG chunks
        raise UnusableError(*_damage(form, error)) from error
    if orientation in _UPRIGHT:
        grey = np.ascontiguousarray(_UPRIGHT[orientation](grey))
        height, width = (width, height) if orientation >= 5 else (height, width)
    if form and not belongs(path, form):
        notes.add("wrong_extension")
    digest = hashlib.blake2b(encoded, digest_size=16).digest()
    return Look(grey, height, width, frozenset(notes) | _blank(grey), digest, holds)


def detail(images: Pixels, index: int) -> NDArray[np.float32]:
    """Return a picture as `DETAIL` x `DETAIL` grey values, whatever its aspect. Raises UnusableError."""
    return _resized(look(images, index).grey, DETAIL).astype(np.float32)


def facts(seen: Look) -> NDArray[Any]:
    """Return what is kept of a picture: a row of `FACTS`."""
    row = np.zeros((), dtype=FACTS)
    row["height"], row["width"] = seen.height, seen.width
    row["notes"] = sum(1 << bit for bit, note in enumerate(NOTES) if note in seen.notes)
    row["digest"] = np.void(seen.digest)
    row["small"] = _resized(seen.grey, SIDE)
    return row


def _grey(picture: PillowImage.Image, encoded: bytes) -> NDArray[np.uint8]:
    """Return the grey values; of a JPEG at a size that still has `DETAIL` pixels each way, to save time."""
    if picture.format in ("JPEG", "MPO") and picture.mode in ("L", "RGB"):
        reduced = {"min_height": DETAIL, "min_width": DETAIL, "min_factor": 1}
        return np.asarray(simplejpeg.decode_jpeg(encoded, colorspace="GRAY", **reduced)[..., 0])  # strict about damage
    picture.load()
    if picture.mode[0] in "IF":  # numbers of any range
        values = np.asarray(picture, dtype=np.float32)
        return (values * (255 / max(float(values.max(initial=0)), 1e-6))).clip(0, 255).astype(np.uint8)
    return np.asarray(picture.convert("RGB").convert("L") if picture.mode == "P" else picture.convert("L"))


def _notes(picture: PillowImage.Image, encoded: bytes) -> set[str]:
    mode = picture.mode
    deep = mode[0] in "IF" or (picture.format == "PNG" and encoded[24] == 16)  # the depth that IHDR tells
    tags = getattr(picture, "tag_v2", {})
    deep |= max(np.atleast_1d(tags.get(258, 8))) > 8  # BitsPerSample
    noted = {"grey": mode in ("L", "LA", "1") or mode[0] in "IF", "cmyk": mode == "CMYK", "deep": deep}
    noted["alpha"] = mode in ("RGBA", "LA", "PA", "RGBa")
    return {note for note, there in noted.items() if there}


def _damage(form: str | None, error: Exception) -> tuple[str, str]:
    """Return code and text of a picture that could not be decoded."""
    said = " ".join(str(error).split())
    cut = any(word in said.lower() for word in ("truncated", "premature", "unexpected end"))
    if form and cut:
        return "truncated", f"ends too early: it is cut off ({form})"
    if form:
        return "unreadable", f"begins like {form} but cannot be decoded"
    return "unreadable", "holds no picture in a format that is known"


def _blank(grey: NDArray[np.uint8]) -> frozenset[str]:
    return frozenset({"blank"} if float(grey.std()) < FLAT else ())


def _large(width: int, height: int) -> str:
    return f"says that it is {width} x {height} pixels; at most {MAX_PIXELS / 1e6:.0f} million are opened"


def _resized(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
