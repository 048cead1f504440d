from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from visionkit.data.formats.voc.reader import NAMES, VOC
from visionkit.data.reader import UNSPLIT
from visionkit.data.sample import read_sample
from visionkit.errors import ConfigError, DataError

Write = Callable[..., Path]

DOG, CAT, FLAT, GONE = ("dog", 1, 1, 4, 5), ("cat", 5, 2, 9, 7), ("dog", 2, 2, 2, 6), ("cat", 0, 6, 2, 8)


@pytest.fixture
def add(tmp_path: Path, write: Write) -> Callable[..., None]:
    """Adds an image with an annotation, a class mask and an object mask, as asked for, and lists it."""

    def palette(name: str, values: np.ndarray) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture = PillowImage.fromarray(values, mode="P")
        picture.putpalette([(37 * number) % 256 for number in range(768)])
        picture.save(tmp_path / name)

    def one(stem: str, lists: str, objects: tuple = (), masks: bool = False) -> None:
        write(f"JPEGImages/{stem}.jpg")
        things = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            "</bndbox></object>"
            for name, x1, y1, x2, y2 in objects
        )
        if objects:
            (tmp_path / "Annotations").mkdir(exist_ok=True)
            (tmp_path / f"Annotations/{stem}.xml").write_text(f"<annotation>{things}</annotation>")
        if masks:
            # The objects are counted from the right here, and one has no box: numbers follow overlap, not order.
            classes, numbers = np.zeros((8, 10), dtype=np.uint8), np.zeros((8, 10), dtype=np.uint8)
            classes[1:5, 1:4], numbers[1:5, 1:4] = 12, 4
            classes[2:7, 5:9], numbers[2:7, 5:9] = 8, 1
            classes[7, 0], numbers[7, 0] = 255, 255
            numbers[7, 9] = 3
            palette(f"SegmentationClass/{stem}.png", classes)
            palette(f"SegmentationObject/{stem}.png", numbers)
        for path in filter(None, lists.split()):
            (tmp_path / "ImageSets" / path).parent.mkdir(parents=True, exist_ok=True)
            with (tmp_path / "ImageSets" / path).open("a") as lines:
                lines.write(f"{stem}\n")

    return one


def test_object_masks_get_the_numbers_of_the_boxes(tmp_path: Path, add: Callable[..., None]) -> None:
    add("a", "Main/train.txt Segmentation/train.txt", (CAT, FLAT, DOG, GONE), masks=True)
    add("b", "Segmentation/val.txt", (DOG, CAT), masks=True)
    reader = VOC(str(tmp_path))
    assert reader.splits() == ("train", "val")
    train = reader.read("train")
    assert train.classes.boxes == ("cat", "dog")
    assert train.classes.mask == ("background", *NAMES)
    assert train.kinds == ("mask", "boxes")
    for records, cat, dog in ((train, 1, 2), (reader.read("val"), 2, 1)):
        sample = read_sample(records, 0, ("mask", "instances"))
        assert sample.instances is not None
        assert sample.mask is not None
        expected = np.zeros((8, 10), dtype=int)
        expected[1:5, 1:4] = dog
        expected[2:7, 5:9] = cat
        assert sample.instances.tolist() == expected.tolist()
        assert (sample.mask[3, 2], sample.mask[3, 6], sample.mask[0, 0], sample.mask[7, 0]) == (12, 8, 0, 255)
        assert (NAMES[12 - 1], NAMES[8 - 1]) == ("dog", "cat")
        assert sample.box_label is not None
        assert sample.box_label.tolist() == ([0, 1, 0] if cat == 1 else [1, 0])


def test_the_names_of_the_challenge_are_in_its_order() -> None:
    assert list(NAMES) == sorted(NAMES)
    assert (len(NAMES), NAMES[0], NAMES[14], NAMES[19]) == (20, "aeroplane", "person", "tvmonitor")


def test_samples_carry_what_there_is(tmp_path: Path, add: Callable[..., None]) -> None:
    add("boxed", "Main/train.txt", (DOG,))
    add("both", "Main/train.txt Segmentation/train.txt", (DOG, CAT), masks=True)
    add("masked", "Segmentation/train.txt", masks=True)
    train = VOC(str(tmp_path)).read("train")
    assert [Path(name).stem for name in train.names] == ["boxed", "both", "masked"]
    assert train.present.tolist() == [
        [False, False, False, True],
        [False, False, True, True],
        [False, False, True, False],
    ]
    assert train.instances is None  # else detection would miss the boxes of images without object masks
    assert train.box_start is not None
    assert train.box_start.tolist() == [0, 1, 3, 3]
    assert (read_sample(train, 0, ("mask",)).mask == 255).all()
    mask = read_sample(train, 2, ("mask", "boxes")).mask
    assert mask is not None
    assert mask[3, 2] == 12
    main, seg = (VOC(str(tmp_path), image_set=name).read("train") for name in ("Main", "Segmentation"))
    assert [Path(name).stem for name in main.names] == ["boxed", "both"]
    assert [Path(name).stem for name in seg.names] == ["both", "masked"]
    with pytest.raises(ConfigError, match=r"data\.image_set=Layout"):
        VOC(str(tmp_path), image_set="Layout")


def test_masks_alone_and_without_lists(tmp_path: Path, add: Callable[..., None]) -> None:
    add("a", "", masks=True)
    add("b", "", masks=True)
    add("c", "")
    reader = VOC(str(tmp_path))
    assert reader.splits() == UNSPLIT
    records = reader.read("all")
    assert records.kinds == ("mask",)
    assert [Path(name).stem for name in records.names] == ["a", "b"]
    assert [(f.code, f.level, Path(f.path).name) for f in reader.report.findings] == [
        ("label_missing", "warning", "c.jpg")
    ]


def test_a_listed_image_needs_its_mask(tmp_path: Path, add: Callable[..., None]) -> None:
    add("a", "Segmentation/train.txt", (DOG,), masks=True)
    add("b", "Segmentation/train.txt", (DOG,))
    with pytest.raises(DataError, match=r"SegmentationClass/b\.png: does not exist"):
        VOC(str(tmp_path)).read("train")


def test_other_classes_need_names(tmp_path: Path, add: Callable[..., None]) -> None:
    add("a", "Main/train.txt", (("cell", 1, 1, 4, 4),), masks=True)
    with pytest.raises(DataError, match=r"other classes than those of the challenge.*classes\.txt"):
        VOC(str(tmp_path)).read("train")
    (tmp_path / "classes.txt").write_text("\n".join(f"kind {number}" for number in range(13)))
    train = VOC(str(tmp_path)).read("train")
    assert train.classes.mask == tuple(f"kind {number}" for number in range(13))
    assert train.classes.boxes == ("cell",)


def test_colours_of_a_label_map_are_read(tmp_path: Path, write: Write, add: Callable[..., None]) -> None:
    add("a", "Segmentation/train.txt")
    painted = np.zeros((8, 10, 3), dtype=np.uint8)
    painted[2, 3] = 128, 0, 64
    write("SegmentationClass/a.png", painted)
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nleft door:128,0,64:a,b:c\n"
    )
    train = VOC(str(tmp_path)).read("train")
    assert train.classes.mask == ("background", "left door")
    mask = read_sample(train, 0, ("mask",)).mask
    assert mask is not None
    assert mask.sum() == mask[2, 3] == 1
