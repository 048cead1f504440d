"""Draw the objects of a COCO file, class by class or one by one, when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np
from faster_coco_eval import mask_api_new_cpp as mask_api
from faster_coco_eval.core import mask as coco_mask
from numpy.typing import NDArray

from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import IGNORE_INDEX, Image

_NEEDED = "polygons [[x, y, x, y, ...], ...] or run lengths {size: [height, width], counts}"


class _RunLengths(msgspec.Struct):
    size: tuple[int, int]
    counts: str | list[int]


_DECODER: Final = msgspec.json.Decoder(list[list[float]] | _RunLengths)


def runs(segmentation: bytes, height: int, width: int) -> NDArray[np.int64]:
    """Return the pixels of a segmentation, as it stands in a file: (R, 2) begin and end, counted down the columns.

    Several polygons are one object, and their pixels are those of pycocotools. What has less than three points has no
    pixels; points farther outside than the image is large are pulled in. Run lengths are numbers or COCO's letters.
    Raises ValueError for anything else.
    """
    found = _DECODER.decode(segmentation)
    if isinstance(found, _RunLengths):
        if found.size != (height, width):
            raise ValueError(f"its size {list(found.size)} is not that of the image, [{height}, {width}]")
        counts = found.counts if isinstance(found.counts, list) else _counts(found.counts, height, width)
    else:
        counts = _counts_of_polygons(found, height, width)
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(f"its counts make {sum(counts)} pixels, but the image has {height * width}")
    ends = np.cumsum(counts, dtype=np.int64)
    return np.stack([ends[:-1:2], ends[1::2]], axis=1)


def _counts_of_polygons(polygons: list[list[float]], height: int, width: int) -> list[int]:
    if any(len(polygon) % 2 for polygon in polygons):
        raise ValueError("a polygon has an odd number of coordinates")
    far = np.asarray([width, height], dtype=np.float64)
    drawn = [np.clip(np.reshape(points, (-1, 2)), -far, 2 * far).ravel() for points in polygons if len(points) >= 6]
    if not drawn:
        return [height * width]
    merged = coco_mask.merge(coco_mask.frPyObjects([points.tolist() for points in drawn], height, width))
    return _counts(merged["counts"], height, width)


def _counts(letters: str | bytes, height: int, width: int) -> list[int]:
    """Return run lengths that COCO's letters hold."""
    try:
        found: list[int] = mask_api.toUncompressedRLE([{"size": [height, width], "counts": letters}])[0]["counts"]
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return found


@dataclass(frozen=True)
class Segments:
    """The objects of N images, image after image as in `Records`; what they look like is read from the file each time.

    `start` and `length` (M,) are bytes of the file, 0 long where an object has a box only; `annotation` (M,) its id
    there; `size` (N, 2) height and width of the images, 0 where they are not told; `stamp` the file's size and time of
    change when all this was read.
    """

    file: Path
    stamp: tuple[int, int]
    names: Strings
    size: NDArray[np.int32]
    boxes: NDArray[np.float32]
    box_label: NDArray[np.int64]
    box_ignore: NDArray[np.bool_]
    box_start: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int32]
    annotation: NDArray[np.int64]

    def shape(self, index: int) -> tuple[int, int]:
        """Return height and width of an image. Raises DataError where the file does not tell them."""
        height, width = self.size[index].tolist()
        if not height or not width:
            raise DataError(
                f"{self.file}: tells no height and width of {self.names[index]}; masks need them, so add them there"
            )
        return height, width

    def void(self, row: int) -> bool:
        """Return whether an object's pixels are not to be counted: a crowd, or a box of which no more is known."""
        return bool(self.box_ignore[row]) or not self.length[row]

    def drawn(self, index: int) -> list[tuple[int, NDArray[np.int64]]]:
        """Return row and runs of an image's objects, what is void first, then the larger first.

        Painted in this order, the smaller object lies on top. Raises DataError for a segmentation that cannot be drawn.
        """
        shape = self.shape(index)
        rows = range(int(self.box_start[index]), int(self.box_start[index + 1]))
        with self.file.open("rb") as file:
            state = os.fstat(file.fileno())
            if (state.st_size, state.st_mtime_ns) != self.stamp:
                raise DataError(f"{self.file}: was changed after it was read; start again")
            found = [(row, self._runs(file, row, shape)) for row in rows]
        return sorted(found, key=lambda item: (not self.void(item[0]), -int((item[1][:, 1] - item[1][:, 0]).sum())))

    def _runs(self, file: BinaryIO, row: int, shape: tuple[int, int]) -> NDArray[np.int64]:
        if not self.length[row]:
            sides = np.clip(np.rint(self.boxes[row]), 0, np.asarray([*shape[::-1]] * 2))
            left, top, right, bottom = sides.astype(np.int64).tolist()
            return np.stack([np.arange(left, right) * shape[0] + side for side in (top, bottom)], axis=1)
        file.seek(int(self.start[row]))
        try:
            return runs(file.read(int(self.length[row])), *shape)
        except (ValueError, msgspec.DecodeError) as error:
            raise DataError(
                f"{self.file}, annotation id {self.annotation[row]}: its segmentation cannot be drawn ({error}); "
                f"needed are {_NEEDED}"
            ) from error


class ClassMasks:
    """A mask of classes for each image: 0 for background, `value` for the objects of each label.

    Of objects that overlap, the smaller lies on top. Crowds, and boxes without segmentation, are 255 (ignore) where no
    object lies on them.
    """

    def __init__(self, segments: Segments, value: Sequence[int]) -> None:
        self.segments = segments
        self.value = tuple(value)

    def __len__(self) -> int:
        return len(self.segments.size)

    def __getitem__(self, index: int, /) -> Image:
        height, width = self.segments.shape(index)
        mask = np.zeros(width * height, dtype=np.uint8)
        for row, found in self.segments.drawn(index):
            void = self.segments.void(row)
            _paint(mask, found, IGNORE_INDEX if void else self.value[self.segments.box_label[row]])
        return np.ascontiguousarray(mask.reshape(width, height).T)


class InstanceMaps:
    """A map for each image, in which k + 1 marks the pixels of its k-th box; crowds are not drawn.

    Of objects that overlap, the smaller lies on top. A box without segmentation has no pixels.
    """

    def __init__(self, segments: Segments) -> None:
        self.segments = segments

    def __len__(self) -> int:
        return len(self.segments.size)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        first, end = (int(self.segments.box_start[number]) for number in (index, index + 1))
        height, width = self.segments.shape(index)
        instances = np.zeros(width * height, dtype=np.uint8 if end - first < 256 else np.uint16)
        for row, found in self.segments.drawn(index):
            if not self.segments.void(row):
                _paint(instances, found, row - first + 1)
        return np.ascontiguousarray(instances.reshape(width, height).T)


def _paint(pixels: NDArray[Any], found: NDArray[np.int64], value: int) -> None:
    """Set the pixels of some runs, in a picture whose columns lie one after the other."""
    for begin, end in found.tolist():
        pixels[begin:end] = value
