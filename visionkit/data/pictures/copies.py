"""Read samples from resized copies of their files, which a cache keeps."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.geometry import Placement, Resize
from visionkit.data.pictures.cache import Cache, Entry
from visionkit.data.pixels import Pixels, origin, path_of
from visionkit.data.records import Records
from visionkit.data.sample import Sample, label_sample, read_mask

VERSION = 1
"""Rises when the same file gives another copy."""


@dataclass(frozen=True)
class Shrink:
    """Shrinks images until the shorter side has `side` pixels, and leaves smaller ones as they are."""

    side: int

    def place(self, height: int, width: int) -> Placement:
        """Return the geometry of one image of the given size."""
        scale = min(1.0, self.side / min(height, width))
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
        return Placement((height, width), (0, 0, height, width), inner, (0, 0), inner)


def for_crops(size: tuple[int, int]) -> Shrink:
    """Return what the copies for random crops are shrunk by: 8/7 of the network's longer side, as 256 is of 224."""
    return Shrink(-(-max(size) * 8 // 7))


@dataclass
class Copies:
    """Reads samples where `resize` brings them, out of a cache where their files lie in it.

    An entry is named after the file (path, device, inode, length, times of change) and all that makes a copy of it, so
    that a file that was changed is read anew. Pictures that come from no file are resized each time.
    """

    cache: Cache
    resize: Resize | Shrink
    _makers: dict[int, tuple[Any, bytes]] = field(default_factory=dict)
    _geometry: str = field(init=False)

    def __post_init__(self) -> None:
        self._geometry = f"{VERSION} {cv2.__version__} {self.resize}"

    def read(self, records: Records, index: int, kinds: Collection[str]) -> Sample:
        """Return a sample with labels of `kinds`, as `read_sample` and `place_sample` give it. Raises DataError."""

        def decode() -> Entry:
            image = np.asarray(records.images[index])
            height, width = image.shape[:2]
            return Entry(self.resize.place(height, width).image(image), (height, width))

        image, size = self._get(records.images, index, b"image", decode)
        bare = Sample(image, index, size, records.present[index])
        placement = self.resize.place(*size)
        sample = label_sample(bare, records, kinds, partial(self._mask, records, placement))
        if sample.boxes is not None:
            sample = sample._replace(boxes=placement.boxes(sample.boxes))
        if sample.mask is not None and sample.mask.shape != placement.target:  # of a sample without one
            sample = sample._replace(mask=placement.mask(sample.mask))
        return sample

    def _mask(self, records: Records, placement: Placement, source: Pixels, sample: Sample, fill: int) -> NDArray[Any]:
        def decode() -> Entry:
            return Entry(placement.mask(read_mask(records, source, sample), fill), sample.size)

        entry = self._get(source, sample.id, b"mask %d" % fill, decode)
        # The image may have been replaced by one of another size since the mask was stored.
        return entry.picture if entry.size == sample.size else decode().picture

    def _get(self, pixels: Pixels, index: int, what: bytes, make: Callable[[], Entry]) -> Entry:
        source, row = origin(pixels, index)
        path = path_of(source, row)
        if path is None:
            return make()
        try:
            name = self._name(source, path, what)
        except OSError:  # what reads the file says what is wrong
            return make()
        return self.cache.get(name, make)

    def _name(self, source: Any, path: Path, what: bytes) -> str:
        known, maker = self._makers.get(id(source), (None, b""))
        if known is not source:
            maker = _maker(source)
            self._makers[id(source)] = source, maker
        found = path.stat()
        numbers = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        folder, name = os.path.split(path)
        text = f"{self._geometry} {numbers} {_resolved(folder)}/{name}"
        content = b"\0".join((text.encode("utf-8", "surrogateescape"), what, maker))
        return hashlib.blake2b(content, digest_size=16).hexdigest()


@lru_cache(maxsize=4096)
def _resolved(folder: str) -> str:
    return os.path.realpath(folder)


def _maker(source: Any) -> bytes:
    """Return what tells the pictures that a source makes of its files from those of another: its settings."""
    settings = {name: value for name, value in vars(source).items() if name not in ("root", "paths")}
    return hashlib.blake2b(pickle.dumps((type(source).__qualname__, settings))).digest()
