"""Small data sets on disk and in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.types import Classes, Image

Write = Callable[..., Path]


def paint(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a picture (RGB, grey or RGBA; noise by default) under tmp_path."""

    def save(name: str, picture: NDArray[np.generic] | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = paint(8, 10) if picture is None else picture
        if picture.ndim == 3:
            picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
        assert cv2.imwrite(str(path), picture)
        return path

    return save


@pytest.fixture
def records() -> Records:
    """Ten 12 x 16 images whose first pixel is their number; every kind of label; sample 3 has no boxes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 12, 16, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(10)
    instances = np.zeros((10, 12, 16), dtype=np.uint8)
    boxes, labels, start = [], [], [0]
    for index in range(10):
        if index != 3:
            boxes += [(1, 2, 5, 6), (8, 3, 14, 11)]
            labels += [index % 3, 2]
            instances[index, 2:6, 1:5] = 1
            instances[index, 3:11, 8:14] = 2
        start.append(len(boxes))
    return Records(
        images=images,
        names=Strings(f"{index}.png" for index in range(10)),
        classes=Classes(labels=("a", "b"), mask=("ground", "thing"), boxes=("x", "y", "z")),
        labels=np.arange(10) % 2,
        multilabel=np.eye(2, dtype=np.uint8)[np.arange(10) % 2],
        masks=np.minimum(instances, 1),
        boxes=np.asarray(boxes, dtype=np.float32),
        box_label=np.asarray(labels, dtype=np.int64),
        box_ignore=np.arange(len(boxes)) % 5 == 0,
        box_start=np.asarray(start, dtype=np.int64),
        instances=instances,
    )
