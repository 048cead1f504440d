"""Everything that can be wrong with an image, a category or an annotation, and what is left then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.coco_set import Content, annotation, content, write_images, write_json
from visionkit.data.formats.coco.arrays import read_arrays
from visionkit.data.formats.coco.layout import find
from visionkit.data.packed import Pack
from visionkit.data.strings import Strings


def read(root: Path, what: Content) -> Pack:
    write_json(root / "annotations" / "train.json", what)
    write_images(root / "train", content())
    return read_arrays(root, find(root)["train"])


def findings(pack: Pack) -> list[tuple[str, str, str]]:
    return [(level, code, where) for code, level, where, _ in pack.about["findings"]]


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "undeclared category": ({"category_id": 6}, "unknown_class", "has category id 6, which categories does not"),
    "image not listed": ({"image_id": 4}, "image_unlisted", "belongs to image id 4, which images does not list"),
    "three numbers": ({"bbox": [1, 2, 3]}, "bad_annotation", "has a bbox of 3 numbers"),
    "five numbers": ({"bbox": [1, 2, 3, 4, 5]}, "bad_annotation", "has a bbox of 5 numbers"),
    "no box": ({"bbox": []}, "bad_annotation", "has a bbox of 0 numbers"),
    "id twice": ({"id": 11}, "id_duplicate", "is given twice"),
    "no width": ({"bbox": [4, 4, 0, 2]}, "box_empty", "no area"),
    "no height": ({"bbox": [4, 4, 2, 0]}, "box_empty", "no area"),
    "width lost in 32 bits": ({"bbox": [5, 4, 1e-9, 2]}, "box_empty", "no area"),
    "negative width": ({"bbox": [4, 4, -2, 2]}, "box_inverted", "negative width"),
    "negative height and no width": ({"bbox": [4, 4, 0, -2]}, "box_inverted", "negative width"),
    "left": ({"bbox": [-4, 4, 4, 2]}, "box_outside", "wholly outside"),
    "right": ({"bbox": [10, 4, 4, 2]}, "box_outside", "wholly outside"),
    "above": ({"bbox": [4, -2, 4, 2]}, "box_outside", "wholly outside"),
    "below": ({"bbox": [4, 8, 4, 2]}, "box_outside", "wholly outside"),
    "far away": ({"bbox": [1e300, 0, 1, 1]}, "box_empty", "no area"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_annotations(tmp_path: Path, name: str) -> None:
    change, code, text = BAD[name]
    what = content()
    what["annotations"][1] |= change
    pack = read(tmp_path, what)
    ((found, level, where, said),) = pack.about["findings"]
    assert found == code
    assert level == ("warning" if code.startswith("box_") else "error")
    assert where == f"annotation id {what['annotations'][1]['id']}"
    assert text in said
    assert pack.arrays["segment_id"].tolist() == [11, 13]
    assert pack.arrays["boxes"].tolist() == [[2, 3, 6, 8], [0, 0, 3, 8]]
    assert pack.arrays["box_start"].tolist() == [0, 0, 2]
    assert pack.arrays["multilabel"].tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    "bbox", [[-1, 4, 1.5, 2], [9.5, 4, 4, 2], [4, -1, 4, 1.5], [4, 7.5, 4, 2], [-9, -9, 99, 1e300]]
)
def test_boxes_partly_outside_are_kept(tmp_path: Path, bbox: list[float]) -> None:
    what = content()
    what["annotations"][1]["bbox"] = bbox
    pack = read(tmp_path, what)
    assert not pack.about["findings"]
    x, y, w, h = bbox
    assert pack.arrays["boxes"][1] == pytest.approx([x, y, x + w, min(y + h, 1e9)])
    assert np.isfinite(pack.arrays["boxes"]).all()


def test_without_height_and_width_nothing_is_outside(tmp_path: Path) -> None:
    what = content()
    del what["images"][1]["height"], what["images"][1]["width"]
    what["annotations"][1]["bbox"] = [100, 100, 2, 2]
    pack = read(tmp_path, what)
    assert pack.arrays["size"].tolist() == [[8, 10], [0, 0]]
    assert not pack.about["findings"]


def test_images_given_twice(tmp_path: Path) -> None:
    what = content()
    what["images"] += [{"id": 3, "file_name": "c.png"}, {"id": 9, "file_name": "./a.png"}]
    what["annotations"].append(annotation(14, 9, 5, [0, 0, 1, 1]))
    pack = read(tmp_path, what)
    assert findings(pack) == [
        ("error", "id_duplicate", "image id 3"),
        ("error", "image_duplicate", "image id 9"),
    ]
    assert list(Strings.of(pack.arrays["name_blob"], pack.arrays["name_start"])) == ["train/b.png", "train/a.png"]
    assert pack.arrays["segment_id"].tolist() == [11, 12, 13]  # without those of the image that is left out


def test_an_image_outside_goes_with_its_annotations(tmp_path: Path) -> None:
    what = content()
    what["images"][1]["file_name"] = "../../etc/passwd"
    pack = read(tmp_path, what)
    assert findings(pack) == [("error", "outside_root", "image id 3")]
    assert pack.arrays["box_start"].tolist() == [0, 0]
    assert pack.arrays["image_id"].tolist() == [7]
    assert pack.arrays["boxes"].shape == (0, 4)


def test_a_category_given_twice(tmp_path: Path) -> None:
    what = content()
    what["categories"].append({"id": 5, "name": "cow"})
    pack = read(tmp_path, what)
    assert findings(pack) == [("error", "id_duplicate", "category id 5")]
    assert pack.about["categories"] == [(5, "cat"), (90, "dog")]


def test_boxes_of_an_image_need_not_lie_together(tmp_path: Path) -> None:
    what = content()
    what["annotations"] = [annotation(n, 3 if n % 2 else 7, 5, [n, 0, 1, 1]) for n in range(6)]
    pack = read(tmp_path, what)
    assert pack.arrays["segment_id"].tolist() == [0, 2, 4, 1, 3, 5]
    assert pack.arrays["boxes"][:, 0].tolist() == [0, 2, 4, 1, 3, 5]
    assert pack.arrays["box_start"].tolist() == [0, 3, 6]


@pytest.mark.parametrize("nothing", [[], [[]], {}, None, ""])
def test_what_is_written_for_no_segmentation(tmp_path: Path, nothing: object) -> None:
    what = content()
    what["annotations"][1]["segmentation"] = nothing
    pack = read(tmp_path, what)
    assert pack.arrays["segment_length"].tolist()[1] == 0
    assert pack.arrays["segment_start"].tolist()[1] == 0
    assert findings(pack) == [("warning", "mask_missing", "annotation id 12")]
    for item in what["annotations"]:
        item["segmentation"] = nothing
    pack = read(tmp_path, what)
    assert not pack.about["segmented"]
    assert not pack.about["findings"]


def test_crowds_as_words(tmp_path: Path) -> None:
    what = content()
    what["annotations"][1]["iscrowd"] = True
    del what["annotations"][0]["iscrowd"]
    assert read(tmp_path, what).arrays["box_ignore"].tolist() == [False, True, True]
