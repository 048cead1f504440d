"""Write a COCO file of any size, like real ones in what it holds, beside empty files in place of its images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CATEGORIES = 80
HEIGHT, WIDTH = 480, 640
_AT_ONCE = 10_000


def write_coco(root: Path, images: int, boxes: int) -> int:
    """Write `annotations/instances_train.json` and the images' empty files in `train`; return the file's bytes.

    An object is an ellipse of 8 to 40 points, 530 bytes of text on average, which is what COCO's own have; the objects
    of an image are not together in the file.
    """
    rng = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    (root / "train").mkdir()
    names = [f"{number:012d}.jpg" for number in range(1, images + 1)]
    for name in names:
        (root / "train" / name).touch()
    listed = [
        {"license": 4, "file_name": name, "height": HEIGHT, "width": WIDTH, "id": number}
        for number, name in enumerate(names, start=1)
    ]
    categories = [{"id": number, "name": f"category {number}"} for number in range(1, CATEGORIES + 1)]
    path = root / "annotations" / "instances_train.json"
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"images": {json.dumps(listed)}, "categories": {json.dumps(categories)}, "annotations": [')
        for first in range(1, boxes + 1, _AT_ONCE):
            ids = range(first, min(first + _AT_ONCE, boxes + 1))
            file.write(", " if first > 1 else "")
            file.write(", ".join(_annotations(rng, ids, images)))
        file.write("]}")
    return path.stat().st_size


def _annotations(rng: np.random.Generator, ids: range, images: int) -> list[str]:
    """Return objects as text; formatting by hand is four times as fast as `json`."""
    image, category = rng.integers(1, images + 1, len(ids)), rng.integers(1, CATEGORIES + 1, len(ids))
    side = rng.uniform(2, 150, (len(ids), 2))
    corner = rng.uniform(0, 1, (len(ids), 2)) * ((WIDTH, HEIGHT) - side)
    written = []
    for number, i, k, (x, y), (w, h) in zip(ids, image, category, corner.tolist(), side.tolist(), strict=True):
        angle = np.linspace(0, 2 * np.pi, rng.integers(8, 41), endpoint=False)
        points = np.stack([x + w * (1 + np.cos(angle)) / 2, y + h * (1 + np.sin(angle)) / 2], axis=1)
        polygon = ", ".join(f"{value:.2f}" for value in points.ravel().tolist())
        written.append(
            f'{{"segmentation": [[{polygon}]], "area": {w * h * np.pi / 4:.3f}, "iscrowd": 0, "image_id": {i}, '
            f'"bbox": [{x:.2f}, {y:.2f}, {w:.2f}, {h:.2f}], "category_id": {k}, "id": {number}}}'
        )
    return written
