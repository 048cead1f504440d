"""COCO: a set worked out by hand, the real one against pycocotools, and the layouts through to batches."""

from __future__ import annotations

import csv
import logging
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.data.coco_set import Content, annotation, content, rectangle, write_images, write_json
from visionkit.data.formats.coco.reader import COCO
from visionkit.data.mapped import Mapped
from visionkit.data.module import DataModule
from visionkit.data.pixels import Pixels
from visionkit.data.reader import UNSPLIT
from visionkit.data.records import Records
from visionkit.data.sample import read_sample
from visionkit.data.selection.selection import Selection
from visionkit.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of `content()` as the split train."""
    write_json(tmp_path / "annotations" / "instances_train.json", content())
    write_images(tmp_path / "train", content())
    return tmp_path


def read(root: Path, change: Content | None = None, split: str = "train") -> Records:
    if change is not None:
        write_json(root / "annotations" / f"instances_{split}.json", change)
        write_images(root / split, change)
    return COCO(str(root)).read(split)


def at(pixels: Pixels | None, index: int) -> np.ndarray:
    assert pixels is not None
    return np.asarray(pixels[index])


def test_boxes_labels_and_crowds(root: Path) -> None:
    records = read(root)
    assert COCO(str(root)).splits() == ("train",)
    assert list(records.names) == ["train/b.png", "train/a.png"]  # in the order of the file
    assert records.classes.boxes == records.classes.labels == ("cat", "dog")  # in the order of their ids
    assert records.boxes is not None
    assert records.box_label is not None
    assert records.box_ignore is not None
    assert records.box_start is not None
    assert records.multilabel is not None
    assert records.boxes.tolist() == [[2, 3, 6, 8], [4, 4, 6, 6.5], [0, 0, 3, 8]]
    assert records.boxes.dtype == np.float32
    assert records.box_label.tolist() == [1, 0, 1]
    assert records.box_ignore.tolist() == [False, False, True]
    assert records.box_start.tolist() == [0, 0, 3]
    assert records.multilabel.tolist() == [[0, 0], [1, 1]]
    assert at(records.images, 1)[0, 0].tolist() == [3, 3, 3]


def test_crowds_count_for_no_multilabel(root: Path) -> None:
    what = content()
    what["annotations"] = what["annotations"][1:]
    assert read(root, what).multilabel.tolist() == [[0, 0], [1, 0]]  # type: ignore[union-attr]


def test_the_smaller_object_lies_on_top_and_crowds_below(root: Path) -> None:
    records = read(root)
    assert records.classes.mask == ("background", "cat", "dog")
    expected = np.zeros((8, 10), dtype=int)
    expected[:, 0:3] = 255
    expected[3:8, 2:6] = 2
    expected[4:6, 4:6] = 1
    assert at(records.masks, 1).tolist() == expected.tolist()
    assert at(records.masks, 1).dtype == np.uint8
    assert not at(records.masks, 0).any()
    expected = np.zeros((8, 10), dtype=int)
    expected[3:8, 2:6] = 1
    expected[4:6, 4:6] = 2
    assert at(records.instances, 1).tolist() == expected.tolist()
    mask = at(records.masks, 1)
    what = content()
    what["annotations"] = what["annotations"][::-1]  # the order in the file does not matter
    again = read(root, what)
    assert at(again.masks, 1).tolist() == mask.tolist()
    expected[expected == 1] = 3
    assert at(again.instances, 1).tolist() == expected.tolist()


def test_a_box_without_segmentation_is_void(root: Path) -> None:
    what = content()
    what["annotations"][0]["segmentation"] = []
    what["annotations"][2]["segmentation"] = None
    what["annotations"][2]["bbox"] = [7.4, -3, 9, 5.6]
    reader = COCO(str(root))
    write_json(root / "annotations" / "instances_train.json", what)
    records = reader.read("train")
    expected = np.zeros((8, 10), dtype=int)
    expected[3:8, 2:6] = 255
    expected[0:3, 7:10] = 255
    expected[4:6, 4:6] = 1
    assert at(records.masks, 1).tolist() == expected.tolist()
    assert set(np.unique(at(records.instances, 1)).tolist()) == {0, 2}
    assert [(f.code, f.path.rpartition(", ")[2]) for f in reader.report.findings] == [
        ("mask_missing", "annotation id 11")
    ]


def test_boxes_alone_make_no_masks(root: Path) -> None:
    what = content()
    for item in what["annotations"]:
        del item["segmentation"]
    records = read(root, what)
    assert records.masks is None
    assert records.instances is None
    assert records.classes.mask is None
    assert records.kinds == ("multilabel", "boxes")


def test_a_category_called_background_is_the_background(root: Path) -> None:
    what = content()
    what["categories"][0]["name"] = "background"
    records = read(root, what)
    assert records.classes.boxes == ("cat", "background")
    assert records.classes.mask == ("background", "cat")
    assert np.unique(at(records.masks, 1)).tolist() == [0, 1, 255]


@pytest.mark.parametrize(("number", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_more_objects_than_a_byte_counts(root: Path, number: int, dtype: type) -> None:
    what = content()
    what["annotations"] = [
        annotation(n, 3, 5, [n % 10, n // 40, 1, 1], segmentation=rectangle(n % 10, n // 40, 1, 1))
        for n in range(number)
    ]
    instances = at(read(root, what).instances, 1)
    assert instances.dtype == dtype
    assert instances.max() == number


def test_too_many_classes_for_a_mask(root: Path) -> None:
    for number, some in ((254, True), (255, False)):
        what = content()
        what["categories"] = [{"id": k, "name": str(k)} for k in range(90 - number, 91)][1:]
        what["categories"][0]["name"] = "first"
        records = read(root, what)
        assert len(records.classes.boxes or ()) == number
        assert (records.masks is not None) == some
        assert records.instances is not None


def test_classes_are_those_of_all_splits(root: Path) -> None:
    what = content()
    what["categories"] = [{"id": 90, "name": "dog"}, {"id": 40, "name": "ant"}]
    what["annotations"] = [annotation(1, 3, 90, [0, 0, 2, 2]), annotation(2, 7, 40, [0, 0, 1, 1])]
    val = read(root, what, "val")
    train = read(root)
    assert train.classes == val.classes
    assert val.classes.boxes == ("cat", "ant", "dog")
    assert val.box_label is not None
    assert val.box_label.tolist() == [1, 2]
    assert val.multilabel is not None
    assert val.multilabel.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert train.box_label is not None
    assert train.box_label.tolist() == [2, 0, 2]
    assert train.multilabel is not None
    assert train.multilabel.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert val.masks is not None  # void boxes: the data set has masks, this split draws none
    assert at(val.masks, 0)[0, :3].tolist() == [255, 0, 0]
    what["categories"][0]["name"] = "wolf"
    with pytest.raises(DataError, match=r"_val\.json: calls category id 90 'wolf', which another split calls 'dog'"):
        read(root, what, "val")


def test_categories_of_one_name_are_one_class(root: Path) -> None:
    what = content()
    what["categories"].append({"id": 1, "name": "dog"})
    what["annotations"][0]["category_id"] = 1
    records = read(root, what)
    assert records.classes.boxes == ("dog", "cat")
    assert records.box_label is not None
    assert records.box_label.tolist() == [0, 1, 0]
    assert records.multilabel is not None
    assert records.multilabel.tolist() == [[0, 0], [1, 1]]


def test_no_categories_no_images(root: Path) -> None:
    with pytest.raises(DataError, match="declare no categories"):
        read(root, {"images": content()["images"], "annotations": [], "categories": []})
    with pytest.raises(DataError, match="lists no image that is there"):
        read(root, {"images": [], "annotations": [], "categories": content()["categories"]})


def test_an_image_that_is_not_there(root: Path) -> None:
    (root / "train/b.png").unlink()
    with pytest.raises(DataError, match=r"train/b\.png: does not exist, but .*instances_train\.json lists it"):
        read(root)
    reader = COCO(str(root))
    reader.report.lenient = True
    records = reader.read("train")
    assert list(records.names) == ["train/a.png"]
    assert at(records.masks, 0)[4, 4] == 1
    assert [finding.code for finding in reader.report.findings] == ["image_missing"]
    write_images(root / "train", content())  # noticed although the file of annotations is the same
    assert len(read(root)) == 2


def test_one_file_of_annotations_in_two_folders(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    read(root)
    other = tmp_path_factory.mktemp("other")
    (other / "annotations").symlink_to(root / "annotations")
    (other / "train").mkdir()
    (other / "train/a.png").write_bytes((root / "train/a.png").read_bytes())
    with pytest.raises(DataError, match=r"train/b\.png: does not exist"):
        COCO(str(other)).read("train")


def test_the_second_reading_tells_the_same(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    what = content()
    what["annotations"] += [
        annotation(14, 3, 5, [1, 1, 0, 2]),
        annotation(15, 3, 5, [5, 5, -2, 2]),
        annotation(16, 7, 5, [10, 1, 2, 2]),
    ]
    write_json(root / "annotations" / "instances_train.json", what)
    told = []
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="visionkit"):
            records = Selection(COCO(str(root)))["train"]
        assert isinstance(records.boxes, Mapped)
        assert len(records.boxes) == 3
        told.append(caplog.messages)
    assert told[0] == told[1]
    assert len(told[0]) == 3
    assert "1 x a box of no area is left out" in told[0][1]
    assert "instances_train.json, annotation id 14" in told[0][1]


def test_errors_are_told_each_time(root: Path) -> None:
    what = content()
    what["annotations"][1]["category_id"] = 6
    for _ in range(2):
        with pytest.raises(DataError, match=r"instances_train\.json, annotation id 12: has category id 6"):
            read(root, what)
    reader = COCO(str(root))
    reader.report.lenient = True
    assert reader.read("train").box_label.tolist() == [1, 1]  # type: ignore[union-attr]


def test_paths_that_leave_the_root_are_refused(root: Path) -> None:
    what = content()
    for name in ("../../etc/passwd", "/etc/passwd", "..\\..\\secret.png"):
        what["images"][0]["file_name"] = name
        write_json(root / "annotations" / "instances_train.json", what)
        with pytest.raises(DataError, match=r"_train\.json, image id 7: names the file .* not below"):
            read(root)


def test_without_splits_the_images_are_cut(tmp_path: Path) -> None:
    what = content()
    what["images"] = [{"id": n, "file_name": f"{n}.png", "height": 8, "width": 10} for n in range(1, 11)]
    write_json(tmp_path / "annotations.json", what)
    write_images(tmp_path / "images", what)
    reader = COCO(str(tmp_path))
    assert reader.splits() == UNSPLIT
    parts = Selection(reader)
    assert (len(parts["train"]), len(parts["val"])) == (8, 2)
    assert all(name.startswith("images/") for name in parts["val"].names)


def test_a_mask_of_another_size_than_its_image(root: Path) -> None:
    what = content()
    what["images"][1]["height"] = 9
    write_json(root / "annotations" / "instances_train.json", what)
    what["annotations"][2]["segmentation"] = None
    write_json(root / "annotations" / "instances_train.json", what)
    with pytest.raises(DataError, match=r"is 9 x 10 pixels .*its image train/a\.png is 8 x 10"):
        read_sample(COCO(str(root)).read("train"), 1, ["mask"])


def test_what_another_process_is_sent_is_small(root: Path) -> None:
    sent = pickle.loads(pickle.dumps(read(root)))
    assert {type(array) for array in (sent.boxes, sent.box_label, sent.names.blob)} == {Mapped}
    _look(sent)


def _look(records: Records) -> None:
    assert records.boxes is not None
    assert records.boxes[:, 2].sum() == 15
    assert list(records.names) == ["train/b.png", "train/a.png"]
    assert at(records.masks, 1)[4, 4] == 1


@pytest.mark.slow
def test_another_process_opens_the_same_files(root: Path) -> None:
    records = read(root)
    process = multiprocessing.get_context("spawn").Process(target=_look, args=(records,))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_every_kind_in_batches(root: Path) -> None:
    reader = COCO(str(root))
    kinds = ("multilabel", "mask", "boxes", "instances")
    batch = next(iter(DataModule(Selection(reader), None, [8, 10], 2, 2, 0, kinds).train_dataloader()))
    targets = batch.targets
    assert targets.instance_masks is not None
    assert targets.instance_masks.sum((1, 2)).tolist() == [16, 4, 0]
    assert targets.box_ignore is not None
    assert targets.box_ignore.tolist() == [False, False, True]
    assert targets.multilabel is not None
    assert targets.multilabel.sum() == 2
    assert targets.mask is not None
    assert (targets.mask == 255).sum() == 19


@pytest.mark.parametrize("split", ["train", "val"])
def test_coco_mini_equals_pycocotools(real_data: Path, split: str) -> None:
    from pycocotools import coco

    root = real_data / "coco_mini"
    records = COCO(str(root)).read(split)
    reference = coco.COCO(root / f"annotations/instances_{split}.json")
    assert len(records) == len(reference.imgs) == {"train": 25, "val": 8}[split]
    categories = sorted(reference.cats)
    assert records.classes.boxes == tuple(reference.cats[number]["name"] for number in categories)
    assert records.box_start is not None
    assert records.boxes is not None
    assert records.box_label is not None
    assert records.box_ignore is not None
    assert records.multilabel is not None
    empty = 0
    for index, (number, image) in enumerate(reference.imgs.items()):
        assert records.names[index] == f"{split}/{image['file_name']}"
        rows = slice(records.box_start[index], records.box_start[index + 1])
        items = reference.imgToAnns[number]
        empty += not items
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (item["bbox"] for item in items)]
        assert records.boxes[rows].tolist() == np.asarray(boxes, dtype=np.float32).tolist()
        assert records.box_label[rows].tolist() == [categories.index(item["category_id"]) for item in items]
        assert records.box_ignore[rows].tolist() == [bool(item["iscrowd"]) for item in items]
        present = {categories.index(item["category_id"]) for item in items if not item["iscrowd"]}
        assert set(np.flatnonzero(records.multilabel[index]).tolist()) == present
        drawn = [(item, reference.annToMask(item).astype(bool)) for item in items]
        mask = np.zeros((image["height"], image["width"]), dtype=int)
        instances = mask.copy()
        for item, pixels in drawn:
            if item["iscrowd"]:
                mask[pixels] = 255
        for item, pixels in sorted(drawn, key=lambda pair: -pair[1].sum()):
            if not item["iscrowd"]:
                mask[pixels] = categories.index(item["category_id"]) + 1
                instances[pixels] = items.index(item) + 1
        assert np.array_equal(at(records.masks, index), mask)
        assert np.array_equal(at(records.instances, index), instances)
        assert at(records.images, index).shape[:2] == mask.shape
    assert empty == (split == "val")


def test_coco_mini_multilabel_equals_its_table(real_data: Path) -> None:
    root = real_data / "coco_mini"
    records = COCO(str(root)).read("train")
    with (root / "multilabel_train.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    assert records.multilabel is not None
    names = records.classes.labels or ()
    ours = {
        records.names[index].rpartition("/")[2]: {names[k] for k in np.flatnonzero(records.multilabel[index])}
        for index in range(len(records))
    }
    assert len(rows) == len(ours)
    assert ours == {name: set(labels.split(" | ")) - {""} for name, labels in rows}
