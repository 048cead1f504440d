from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.formats.instances.measure import measured_boxes
from visionkit.data.formats.instances.reader import InstanceMasks
from visionkit.data.reader import UNSPLIT
from visionkit.data.records import Records
from visionkit.data.report import Report
from visionkit.data.sample import read_sample
from visionkit.errors import ConfigError, DataError

Write = Callable[..., Path]


def patch(y1: int, x1: int, y2: int, x2: int, value: int = 255) -> np.ndarray:
    mask = np.zeros((8, 10), dtype=np.uint8)
    mask[y1:y2, x1:x2] = value
    return mask


EXPECTED = np.zeros((8, 10), dtype=int)
EXPECTED[1:4, 2:7] = 1
EXPECTED[3:8, 5:6] = 2
BOXES = [[2, 1, 7, 4], [5, 3, 6, 8]]


def singles(write: Write, parent: str, image: str = "x.png") -> None:
    """Writes an image with two masks that overlap in a pixel, of which the later lies on top."""
    write(f"{parent}/images/{image}", np.full((8, 10, 4), 9, dtype=np.uint8))
    write(f"{parent}/masks/2.png", patch(3, 5, 8, 6, value=1))
    write(f"{parent}/masks/1.png", patch(1, 2, 4, 7))


def check(records: Records, name: str = "object") -> None:
    assert records.classes.boxes == (name,)
    assert records.classes.mask == ("background", name)
    assert records.kinds == ("mask", "boxes")
    assert records.boxes is not None
    assert records.boxes[:2].tolist() == BOXES
    assert records.boxes.dtype == np.float32
    sample = read_sample(records, 0, ("mask", "instances"))
    assert sample.instances is not None
    assert sample.mask is not None
    assert sample.instances.tolist() == EXPECTED.tolist()
    assert sample.mask.tolist() == (EXPECTED > 0).tolist()
    assert sample.image.shape == (8, 10, 3)


def test_a_mask_an_object(tmp_path: Path, write: Write) -> None:
    singles(write, "train/a")
    singles(write, "valid/b")
    write("train/c/images/c.png")
    (tmp_path / "train/c/masks").mkdir()
    reader = InstanceMasks(str(tmp_path), class_names=["cell"])
    assert reader.splits() == ("train", "val")
    train = reader.read("train")
    check(train, "cell")
    check(reader.read("val"), "cell")
    assert list(train.names) == ["train/a/images/x.png", "train/c/images/c.png"]
    assert train.box_start is not None
    assert train.box_start.tolist() == [0, 2, 2]
    empty = read_sample(train, 1, ("mask", "instances"))
    assert empty.instances is not None
    assert empty.mask is not None
    assert not empty.instances.any()
    assert not empty.mask.any()


@pytest.mark.parametrize(
    ("images", "maps"),
    [
        ("images/{split}/a.jpg", "labelmaps/{split}/a.png"),
        ("{split}/images/a.jpg", "{split}/masks/a.png"),
        ("{split}/a/images/a.png", "labelmaps/{split}/a.png"),
    ],
)
def test_label_maps(tmp_path: Path, write: Write, images: str, maps: str) -> None:
    numbers = np.asarray([0, 7, 300], dtype=np.uint16)[EXPECTED]
    for split in ("train", "val"):
        write(images.format(split=split))
        write(maps.format(split=split), numbers)
    reader = InstanceMasks(str(tmp_path))
    assert reader.splits() == ("train", "val")
    for split in ("train", "val"):
        records = reader.read(split)
        assert list(records.names) == [images.format(split=split)]
        check(records)


def test_without_splits(tmp_path: Path, write: Write) -> None:
    singles(write, "a")
    reader = InstanceMasks(str(tmp_path))
    assert reader.splits() == UNSPLIT
    check(reader.read("all"))
    write("images/b.png")
    write("labelmaps/b.png", EXPECTED.astype(np.uint8))
    reader = InstanceMasks(str(tmp_path))
    assert reader.splits() == UNSPLIT
    records = reader.read("all")
    assert list(records.names) == ["images/b.png"]
    check(records)


def test_more_than_255_objects(tmp_path: Path, write: Write) -> None:
    numbers = np.arange(300, dtype=np.uint16).reshape(15, 20)
    write("images/train/a.png", np.zeros((15, 20, 3), dtype=np.uint8))
    write("masks/train/a.png", numbers)
    records = InstanceMasks(str(tmp_path)).read("train")
    assert records.instances is not None
    assert records.instances[0].tolist() == numbers.tolist()
    assert records.boxes is not None
    assert records.boxes[256].tolist() == [17, 12, 18, 13]  # the object 257 is the pixel at row 12, column 17


def test_what_is_wrong_is_named(tmp_path: Path, write: Write) -> None:
    singles(write, "train/a")
    write("train/a/masks/3.png", patch(0, 0, 0, 0))
    singles(write, "train/b")
    write("train/b/masks/3.png", patch(0, 0, 8, 10)[:, :9])
    singles(write, "train/c")
    (tmp_path / "train/c/masks/1.png").write_bytes(b"broken")
    singles(write, "train/d")
    write("train/d/images/y.png")
    write("train/e/images/x.png")
    with pytest.raises(DataError, match=r"train/d/images: holds 2 images; one is needed"):
        InstanceMasks(str(tmp_path)).read("train")
    reader = InstanceMasks(str(tmp_path))
    reader.report = Report(lenient=True)
    train = reader.read("train")
    assert list(train.names) == ["train/a/images/x.png"]
    check(train)
    assert train.boxes is not None
    assert len(train.boxes) == 2
    found = [(f.code, f.level, Path(f.path).relative_to(tmp_path).as_posix()) for f in reader.report.findings]
    assert found == [
        ("image_missing", "error", "train/d/images"),
        ("mask_missing", "error", "train/e/masks"),
        ("mask_empty", "warning", "train/a/masks/3.png"),
        ("mask_size", "error", "train/b/masks/3.png"),
        ("unreadable_image", "error", "train/c/masks/1.png"),
    ]
    text = next(finding.text for finding in reader.report.findings if finding.code == "mask_size")
    assert text.startswith("is 8 x 9 pixels (height x width), but its image train/b/images/x.png is 8 x 10")


def test_wrong_label_maps_are_named(tmp_path: Path, write: Write) -> None:
    write("train/a/images/a.png")
    write("labelmaps/train/a.png", EXPECTED.astype(np.uint8)[:7])
    with pytest.raises(DataError, match=r"labelmaps/train/a\.png: is 7 x 10 pixels .* image train/a/images/a\.png"):
        InstanceMasks(str(tmp_path)).read("train")
    write("labelmaps/train/a.png", np.zeros((8, 10, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"labelmaps/train/a\.png: has the colour mode RGB"):
        InstanceMasks(str(tmp_path)).read("train")
    write("labelmaps/train/a.png", EXPECTED.astype(np.uint8))
    write("labelmaps/train/b.png", EXPECTED.astype(np.uint8))
    with pytest.raises(DataError, match=r"labelmaps/train/b\.png: has no image b"):
        InstanceMasks(str(tmp_path)).read("train")


def test_missing_parts_and_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no instance masks; lay it out as <split>/<name>/images"):
        InstanceMasks(str(tmp_path)).splits()
    with pytest.raises(DataError, match="nowhere: does not exist"):
        InstanceMasks(str(tmp_path / "nowhere")).splits()
    for names in ([], ["a", "b"], "cell"):
        with pytest.raises(ConfigError, match=r"data\.class_names=.*\[cell\]"):
            InstanceMasks("x", class_names=names)


def test_boxes_are_measured_by_hand_and_by_scipy() -> None:
    values, boxes = measured_boxes(np.asarray([0, 9, 4])[EXPECTED])
    assert values.tolist() == [4, 9]
    assert boxes.tolist() == [BOXES[1], BOXES[0]]
    assert measured_boxes(np.zeros((3, 4), dtype=np.uint16))[1].shape == (0, 4)
    from scipy.ndimage import find_objects

    numbers = np.random.default_rng(0).integers(0, 30, (40, 50))
    numbers[numbers > 20] = 0
    expected = [[x.start, y.start, x.stop, y.stop] for y, x in find_objects(numbers)]
    assert measured_boxes(numbers)[1].tolist() == expected


def test_nuclei_in_both_of_its_layouts(real_data: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(real_data / "nuclei" / split)
    for root in (real_data / "nuclei", tmp_path):
        reader = InstanceMasks(str(root))
        parts = {split: reader.read(split) for split in reader.splits()}
        assert {split: len(part) for split, part in parts.items()} == {"train": 47, "val": 15}
        assert [len(part.boxes) for part in parts.values() if part.boxes is not None] == [1240, 399]
        assert reader.report.findings == ()
        val = parts["val"]
        assert val.boxes is not None
        for index in range(0, len(val), 5):
            sample = read_sample(val, index, ("mask", "boxes", "instances"))
            assert sample.instances is not None
            assert sample.boxes is not None
            assert sample.instances.max() == len(sample.boxes)
            assert sample.image.shape == (*sample.instances.shape, 3)
