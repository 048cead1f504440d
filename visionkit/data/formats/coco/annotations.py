"""Parse a COCO file of annotations, its million objects without one for each of their numbers."""

from __future__ import annotations

import gc
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec

from visionkit.errors import DataError

_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Side = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Category(msgspec.Struct, gc=False):
    """A class of objects."""

    id: _Id
    name: str


class Image(msgspec.Struct, gc=False):
    """An image; 0 for a height or width that is not told."""

    id: _Id
    file_name: str
    height: _Side = 0
    width: _Side = 0


class Annotation(msgspec.Struct, gc=False):
    """An object. Its segmentation is the bytes of the file as they stand, to be parsed when it is drawn."""

    id: _Id
    image_id: _Id
    category_id: _Id
    bbox: list[float] = []  # msgspec copies it
    iscrowd: bool | int = False
    segmentation: msgspec.Raw = msgspec.Raw()


class Annotations(msgspec.Struct, gc=False):
    """A whole file, as far as it is looked at."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def decode(path: Path) -> tuple[Annotations, mmap.mmap]:
    """Return what a file holds, and its bytes, of which the segmentations are views.

    Raises DataError for a file that is no JSON or not of this form.
    """
    try:
        with path.open("rb") as file:
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise DataError(f"{path}: cannot be read ({error}); repair the file or fetch it again") from error
    try:
        with _without_collection():
            return msgspec.json.decode(text, type=Annotations), text
    except (msgspec.ValidationError, RecursionError) as error:
        raise DataError(
            f"{path}: {error}; a COCO file holds the lists images (id, file_name, height, width), annotations "
            f"(id, image_id, category_id, bbox) and categories (id, name)"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        found = re.search(r"\(byte (\d+)\)", str(error))
        before = text[: int(found[1]) if found else len(text)]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise DataError(
            f"{path}, line {line}, column {column}: is no valid JSON ({error}); repair the file or fetch it again"
        ) from error


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep Python from looking for garbage: among a million new lists it finds none, in twice the time of decoding."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
