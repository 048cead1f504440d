"""Polygons and run lengths: by hand and against pycocotools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as reference

from tests.data.coco_set import content, rectangle, write_images, write_json
from visionkit.data.formats.coco.reader import COCO
from visionkit.data.formats.coco.segments import runs
from visionkit.errors import DataError


def drawn(segmentation: object, height: int, width: int) -> NDArray[np.bool_]:
    pixels = np.zeros(height * width, dtype=bool)
    for begin, end in runs(json.dumps(segmentation).encode(), height, width).tolist():
        assert not pixels[begin:end].any()
        pixels[begin:end] = True
    return pixels.reshape(width, height).T


def test_by_hand() -> None:
    expected = np.zeros((4, 6), dtype=bool)
    expected[1:3, 2:5] = True
    assert np.array_equal(drawn(rectangle(2, 1, 3, 2), 4, 6), expected)
    lengths = {"size": [4, 6], "counts": [9, 2, 2, 2, 2, 2, 5]}
    assert np.array_equal(drawn(lengths, 4, 6), expected)
    letters = reference.encode(np.asfortranarray(expected, dtype=np.uint8))["counts"].decode()
    assert np.array_equal(drawn({"size": [4, 6], "counts": letters}, 4, 6), expected)
    expected[0, 0] = True
    assert np.array_equal(drawn([*rectangle(2, 1, 3, 2), *rectangle(0, 0, 1, 1)], 4, 6), expected)
    assert drawn({"size": [4, 6], "counts": [0, 24]}, 4, 6).all()
    assert not drawn({"size": [4, 6], "counts": [24]}, 4, 6).any()


def test_polygons_equal_pycocotools() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = (int(side) for side in rng.integers(1, 90, 2))
        polygons = [
            (rng.uniform(-0.3, 1.3, (rng.integers(3, 20), 2)) * (width, height)).round(2).ravel().tolist()
            for _ in range(rng.integers(1, 4))
        ]
        expected = reference.decode(reference.merge(reference.frPyObjects(polygons, height, width)))
        assert np.array_equal(drawn(polygons, height, width), expected)


def test_run_lengths_equal_pycocotools() -> None:
    rng = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.5, 1.0) * 10:
        pixels = np.asfortranarray(rng.random(rng.integers(1, 60, 2)) < share, dtype=np.uint8)
        height, width = pixels.shape
        letters = reference.encode(pixels)["counts"].decode()
        assert np.array_equal(drawn({"size": [height, width], "counts": letters}, height, width), pixels)
        flat = np.concatenate([[0], pixels.ravel(order="F"), [2]])
        counts = np.diff([0, *np.flatnonzero(np.diff(flat))]).tolist()
        assert np.array_equal(drawn({"size": [height, width], "counts": counts}, height, width), pixels)


def test_points_and_lines_have_no_pixels() -> None:
    assert not drawn([[1, 1, 3, 3], [], [2, 2]], 5, 5).any()
    assert not drawn([[]], 5, 5).any()


def test_points_far_outside_are_pulled_in() -> None:
    assert drawn([[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]], 5, 7).all()


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 1, 3, 3, 1, 3, 2]], "odd number of coordinates"),
        ([1, 1, 3, 3, 1, 3], r"Expected `array`, got `int` - at `\$\[0\]`"),
        ([["a", 1, 3, 3, 1, 3]], "got `str`"),
        ({"size": [10, 8], "counts": [80]}, r"its size \[10, 8\] is not that of the image, \[8, 10\]"),
        ({"size": [8, 10], "counts": [3, 4]}, "its counts make 7 pixels, but the image has 80"),
        ({"size": [8, 10], "counts": [90, -10]}, "its counts make 80 pixels"),
        ({"size": [8, 10], "counts": []}, "its counts make 0 pixels"),
        ({"size": [8, 10], "counts": ""}, "its counts make 0 pixels"),
        ({"size": [8, 10], "counts": "abc"}, "malformed"),
        ({"size": [8, 10], "counts": "zzzzzzzzz"}, "exceed"),
        ({"counts": [80]}, "missing required field `size`"),
        ("a mask", "got `str`"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, segmentation: object, message: str) -> None:
    what = content()
    what["annotations"][1]["segmentation"] = segmentation
    write_json(tmp_path / "annotations/train.json", what)
    write_images(tmp_path / "train", what)
    records = COCO(str(tmp_path)).read("train")  # nothing is parsed before it is drawn
    for pixels in (records.masks, records.instances):
        assert pixels is not None
        assert pixels[0].max() == 0
        with pytest.raises(DataError, match=rf"train\.json, annotation id 12: its segmentation .*{message}.*polygons"):
            pixels[1]


def test_a_file_changed_in_between(tmp_path: Path) -> None:
    path = write_json(tmp_path / "annotations/train.json", content())
    write_images(tmp_path / "train", content())
    records = COCO(str(tmp_path)).read("train")
    path.write_text(path.read_text() + " ")
    assert records.masks is not None
    with pytest.raises(DataError, match=r"train\.json: was changed after it was read"):
        records.masks[1]


def test_an_image_without_height_and_width(tmp_path: Path) -> None:
    what = content()
    del what["images"][1]["width"]
    write_json(tmp_path / "annotations/train.json", what)
    write_images(tmp_path / "train", content())
    records = COCO(str(tmp_path)).read("train")
    assert records.masks is not None
    with pytest.raises(DataError, match=r"train\.json: tells no height and width of train/a\.png"):
        records.masks[1]
