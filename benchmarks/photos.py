"""Write photographs with boxes and masks for benchmarks: cut out of a folder's own, or made up."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

QUALITY = 90
"""Of the JPEG files, 0 to 100."""

BOXES = 6
"""Boxes an image."""


class Photos(NamedTuple):
    """Files of one size with their labels."""

    images: list[Path]
    masks: list[Path]
    boxes: NDArray[np.float32]  # (number of images, BOXES, 4), pixels x1 y1 x2 y2


def write_photos(
    folder: Path, size: tuple[int, int], number: int, source: Path | None = None, enlarged: float = 1.0
) -> Photos:
    """Write `number` JPEG files of (height, width) below `folder`, one PNG mask each, and return them.

    With `source`, a folder of photographs, each is composed of as many of them, unscaled, as it takes to fill it.
    Otherwise textures of all scales are made up. With `enlarged` above 1 this is done at a smaller size: the finest
    detail is as many pixels large, as that of a camera's own files is.
    """
    small = (round(size[0] / enlarged), round(size[1] / enlarged))
    found = sorted(path for path in source.rglob("*.jpg")) if source else []
    (folder / "images" / "one").mkdir(parents=True)
    (folder / "masks").mkdir()
    images, masks = [], []
    boxes = np.empty((number, BOXES, 4), dtype=np.float32)
    for index in range(number):
        rng = np.random.default_rng(index)
        picture = composed(rng, small, found) if found else made_up(rng, small)
        if small != size:
            picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC)
        corners = np.sort(rng.uniform(0, 1, (BOXES, 2, 2)), axis=1) * np.asarray(size[::-1])
        boxes[index] = corners.reshape(BOXES, 4)
        mask = cv2.resize(rng.integers(0, 20, (6, 8), dtype=np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
        images.append(folder / "images" / "one" / f"{index:04d}.jpg")
        masks.append(folder / "masks" / f"{index:04d}.png")
        cv2.imwrite(str(images[-1]), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        cv2.imwrite(str(masks[-1]), mask)
    return Photos(images, masks, boxes)


def composed(rng: np.random.Generator, size: tuple[int, int], files: list[Path]) -> NDArray[np.uint8]:
    """Return photographs side by side, unscaled, each cut where the next begins."""
    canvas = np.zeros((*size, 3), dtype=np.uint8)
    top = 0
    while top < size[0]:
        left, row = 0, size[0]
        while left < size[1]:
            photo = cv2.imread(str(files[int(rng.integers(len(files)))]))
            if photo.shape[0] > photo.shape[1] and size[0] < size[1]:
                photo = cv2.rotate(photo, cv2.ROTATE_90_CLOCKWISE)
            part = photo[: size[0] - top, : size[1] - left]
            canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
            left, row = left + photo.shape[1], min(row, photo.shape[0])
        top += row
    return canvas


def made_up(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return colours that vary on all scales, the finer the weaker, as those of photographs do."""
    picture = np.zeros((*size, 3), dtype=np.float32)
    cells = 2
    while cells < min(size):
        noise = rng.standard_normal((cells, cells * 4 // 3, 3), dtype=np.float32)
        picture += cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC) / cells**0.85
        cells *= 2
    return np.clip(128 + 70 * picture / picture.std(), 0, 255).astype(np.uint8)
