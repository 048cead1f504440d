from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.coco_set import content, write_images, write_json
from visionkit.data.formats.coco.layout import find, missing
from visionkit.data.formats.coco.reader import COCO
from visionkit.data.reader import UNSPLIT
from visionkit.errors import DataError


@pytest.mark.parametrize(
    ("annotations", "images", "split"),
    [
        ("annotations/instances_train.json", "train", "train"),
        ("annotations/instances_val.json", "images/val", "val"),
        ("annotations/instances_train2017.json", "train2017", "train"),
        ("annotations/instances_val2014.json", "images/val2014", "val"),
        ("annotations/instances_train2017.json", "train", "train"),
        ("annotations/instances_test.json", "images", "test"),
        ("annotations/train.json", "train", "train"),
        ("annotations/valid.json", "valid", "val"),
        ("annotations/test.json", "", "test"),
        ("train/_annotations.coco.json", "train", "train"),
        ("valid/_annotations.coco.json", "valid", "val"),
        ("val/_annotations.coco.json", "val", "val"),
        ("annotations.json", "images", "all"),
        ("instances.json", "images", "all"),
        ("annotations/instances_default.json", "images", "all"),
        ("annotations.json", "", "all"),
    ],
)
def test_usual_layouts(tmp_path: Path, annotations: str, images: str, split: str) -> None:
    write_json(tmp_path / annotations, content())
    for other in ("images", "train2017"):  # empty folders do not lead astray
        (tmp_path / other).mkdir(exist_ok=True)
    write_images(tmp_path / images, content())
    reader = COCO(str(tmp_path))
    assert reader.splits() == (split,)
    records = reader.read(split)
    assert list(records.names) == [f"{images}/{name}".lstrip("/") for name in ("b.png", "a.png")]
    assert records.images[0].shape == (8, 10, 3)


@pytest.mark.parametrize("annotations", ["annotations/instances_train.json", "train/_annotations.coco.json"])
def test_names_that_hold_their_folder(tmp_path: Path, annotations: str) -> None:
    what = content()
    write_images(tmp_path / "train/deep", what)
    (tmp_path / "images").mkdir()
    for image in what["images"]:
        image["file_name"] = f"train\\deep/./{image['file_name']}"
    write_json(tmp_path / annotations, what)
    assert list(COCO(str(tmp_path)).read("train").names) == ["train/deep/b.png", "train/deep/a.png"]


def test_all_splits_in_their_order(tmp_path: Path) -> None:
    for name in ("instances_val2017", "test", "instances_train2017", "captions_train2017", "person_keypoints_val2017"):
        write_json(tmp_path / f"annotations/{name}.json", content())
    assert tuple(find(tmp_path)) == ("train", "val", "test")
    assert find(tmp_path)["val"].annotations == "annotations/instances_val2017.json"
    (tmp_path / "b").mkdir()
    for name in ("valid", "train"):
        write_json(tmp_path / f"b/{name}/_annotations.coco.json", content())
    assert tuple(find(tmp_path / "b")) == ("train", "val")
    assert find(tmp_path / "b") != UNSPLIT


def test_two_files_for_a_split(tmp_path: Path) -> None:
    for name in ("instances_train2014", "instances_train2017"):
        write_json(tmp_path / f"annotations/{name}.json", content())
    with pytest.raises(DataError, match=r"instances_train2014\.json and .*instances_train2017\.json are both"):
        find(tmp_path)


def test_nothing_that_is_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist; .*_annotations\.coco\.json"):
        COCO(str(tmp_path / "nowhere")).splits()
    write_json(tmp_path / "annotations/labels.json", content())
    with pytest.raises(
        DataError, match=r"no COCO annotations .*instances_\{train,val,test\}\.json .*annotations\.json"
    ):
        COCO(str(tmp_path)).read("train")
    write_json(tmp_path / "annotations/train.json", content())
    with pytest.raises(DataError, match="no split 'val'; it has train"):
        COCO(str(tmp_path)).read("val")


def test_missing_files_by_their_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "a", content())
    names = ["a/b.png", "a/c.png", "a/a.png", "b/a.png", "a.png"]
    assert missing(tmp_path, names).tolist() == [1, 3, 4]
    assert missing(tmp_path, []).tolist() == []
