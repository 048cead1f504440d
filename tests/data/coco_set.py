"""A small COCO data set that tests write, and change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Content = dict[str, Any]


def annotation(number: int, image: int, category: int, bbox: list[float], **more: Any) -> Content:
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0, **more}


def rectangle(x: float, y: float, w: float, h: float) -> list[list[float]]:
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def content() -> Content:
    """Two images of 8 x 10 with a dog below a smaller cat in the first, a crowd, an image without annotations."""
    crowd = {"size": [8, 10], "counts": [0, 24, 56]}  # the three columns on the left
    return {
        "info": {"year": 2017},
        "images": [
            {"id": 7, "file_name": "b.png", "height": 8, "width": 10},
            {"id": 3, "file_name": "a.png", "height": 8, "width": 10},
        ],
        "annotations": [
            annotation(11, 3, 90, [2, 3, 4, 5], segmentation=rectangle(2, 3, 4, 5)),
            annotation(12, 3, 5, [4, 4, 2, 2.5], segmentation=rectangle(4, 4, 2, 2)),
            annotation(13, 3, 90, [0, 0, 3, 8], segmentation=crowd, iscrowd=1),
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 5, "name": "cat"}],
    }


def write_images(folder: Path, what: Content) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in what["images"]:
        picture = np.full((image.get("height", 8), image.get("width", 10), 3), image["id"] % 256, dtype=np.uint8)
        assert cv2.imwrite(str(folder / image["file_name"]), picture)


def write_json(path: Path, what: Content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(what))
    return path
