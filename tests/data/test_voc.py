from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.formats.voc.reader import VOC
from visionkit.data.reader import UNSPLIT
from visionkit.data.selection.selection import Selection
from visionkit.errors import DataError

Write = Callable[..., Path]


def thing(name: str, *box: float, difficult: int = 0) -> str:
    x1, y1, x2, y2 = box
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
    )


@pytest.fixture
def add(tmp_path: Path, write: Write) -> Callable[..., None]:
    """Adds an image, its annotation, and its line in a split."""

    def one(stem: str, split: str | None, *things: str) -> None:
        write(f"JPEGImages/{stem}.jpg")
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / f"Annotations/{stem}.xml").write_text(f"<annotation>{''.join(things)}</annotation>")
        if split:
            (tmp_path / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
            with (tmp_path / f"ImageSets/Main/{split}.txt").open("a") as lines:
                lines.write(f"{stem}\n")

    return one


def test_boxes_classes_and_difficult(tmp_path: Path, add: Callable[..., None]) -> None:
    add("b b", "train", thing("dog", 1, 2, 5, 6.5), thing("cat", 0, 0, 3, 3, difficult=1))
    add("a", "train")
    add("c", "train", thing("dog", 2, 2, 4, 4))
    add("d", "val", thing("ant", 2, 3, 4, 5))
    reader = VOC(str(tmp_path))
    assert reader.splits() == ("train", "val")
    train = reader.read("train")
    assert train.classes.boxes == ("ant", "cat", "dog")
    assert list(train.names) == ["JPEGImages/b b.jpg", "JPEGImages/a.jpg", "JPEGImages/c.jpg"]
    assert train.boxes is not None
    assert train.box_label is not None
    assert train.box_ignore is not None
    assert train.box_start is not None
    assert train.boxes.tolist() == [[1, 2, 5, 6.5], [0, 0, 3, 3], [2, 2, 4, 4]]
    assert train.box_label.tolist() == [2, 1, 2]
    assert train.box_ignore.tolist() == [False, True, False]
    assert train.box_start.tolist() == [0, 2, 2, 3]
    assert train.boxes.dtype == np.float32
    assert reader.read("val").images[0].shape == (8, 10, 3)


def test_boxes_that_cannot_be_right_go_with_one_warning_a_kind(
    tmp_path: Path, add: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    size = "<size><width>10</width><height>8</height></size>"
    add(
        "a",
        "train",
        size,
        thing("dog", 3, 3, 3, 3),
        thing("dog", 1, 1, 4, 4),
        thing("dog", 5, 1, 2, 4),
        thing("dog", 1, 3, 4, 3),
        thing("cat", 1, 1, 4, 4),
        thing("dog", 1, 1, 4, 4, difficult=1),
        thing("dog", 6, 2, 11, 8),
        thing("dog", 6, 2, 11.5, 8),
    )
    add("b", "val", thing("dog", 1, 4, 3, 2), thing("dog", 6, 2, 99, 8))
    reader = VOC(str(tmp_path))
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        parts = Selection(reader)
        train, val = parts["train"], parts["val"]
    assert train.boxes is not None
    assert train.boxes.tolist() == [[1, 1, 4, 4], [1, 1, 4, 4], [6, 2, 11, 8], [6, 2, 11.5, 8]]
    assert train.box_ignore is not None
    assert not train.box_ignore.any()
    assert len(val) == 1
    assert val.boxes is not None
    assert val.boxes.tolist() == [[6, 2, 99, 8]]  # no <size>, nothing to compare with
    assert "2 x a box of no area" in caplog.text
    assert len(caplog.records) == 4
    found: dict[str, list[str]] = {}
    for finding in reader.report.findings:
        found.setdefault(finding.code, []).append(finding.path.rpartition("/")[2])
    assert found == {
        "box_empty": ["a.xml, object 1", "a.xml, object 4"],
        "box_inverted": ["a.xml, object 3", "b.xml, object 1"],
        "box_duplicate": ["a.xml, object 6"],
        "box_outside": ["a.xml, object 8"],
    }


def test_without_image_sets_the_images_are_cut(tmp_path: Path, add: Callable[..., None]) -> None:
    for index in range(10):
        add(str(index), None, thing("dog", 0, 0, 2, 2))
    reader = VOC(str(tmp_path))
    assert reader.splits() == UNSPLIT
    assert len(reader.read("all")) == 10
    parts = Selection(reader)
    train, val = parts["train"], parts["val"]
    assert (len(train), len(val)) == (8, 2)
    assert not set(train.names) & set(val.names)


def test_broken_annotations_are_named(tmp_path: Path, add: Callable[..., None]) -> None:
    add("a", "train", thing("dog", 1, 1, 4, 4))
    path = tmp_path / "Annotations/a.xml"
    good = path.read_text()
    bad = {
        "line 1: is no valid XML": good[:-5],
        "line 3: is no valid XML": good[:12] + "\n\n" + good[12:-5],
        r"<xmax> 'wide'": good.replace("<xmax>4", "<xmax>wide"),
        r"<xmax> None": good.replace("<xmax>4</xmax>", ""),
        "<ymin> 'nan'": good.replace("<ymin>1", "<ymin>nan"),
        "no <name>": good.replace("<name>dog</name>", ""),
        "Entities": '<!DOCTYPE a [<!ENTITY b "c">]>' + good,
    }
    for message, text in bad.items():
        path.write_text(text)
        with pytest.raises(DataError, match=f"a.xml.*{message}"):
            VOC(str(tmp_path)).read("train")
    path.unlink()
    with pytest.raises(DataError, match=r"a\.xml: cannot be read"):
        VOC(str(tmp_path)).read("train")


def test_missing_parts_are_named(tmp_path: Path, add: Callable[..., None]) -> None:
    with pytest.raises(DataError, match=r"does not exist; .*JPEGImages"):
        VOC(str(tmp_path / "nowhere")).splits()
    with pytest.raises(DataError, match="no folder JPEGImages"):
        VOC(str(tmp_path)).splits()
    add("a", "trainval", thing("dog", 1, 1, 4, 4))
    with pytest.raises(DataError, match=r"none of train\.txt"):
        VOC(str(tmp_path)).splits()
    add("b", "train", thing("dog", 1, 1, 4, 4))
    with pytest.raises(DataError, match="no split 'val'"):
        VOC(str(tmp_path)).read("val")
    (tmp_path / "JPEGImages/b.jpg").unlink()
    with pytest.raises(DataError, match="JPEGImages/b: no image"):
        VOC(str(tmp_path)).read("train")


def test_a_broken_annotation_leaves_its_image_out_where_all_is_to_be_found(
    tmp_path: Path, add: Callable[..., None]
) -> None:
    add("a", "train", thing("dog", 1, 1, 4, 4))
    add("b", "train", thing("dog", 1, 1, 4, 4), thing("", 1, 1, 4, 4), thing("dog", 5, 5, 5, 5))
    add("c", "train", thing("dog", 1, 1, 4, 4))
    with (tmp_path / "ImageSets/Main/train.txt").open("a") as lines:
        lines.write("c\n../../d\ne\n")
    (tmp_path / "JPEGImages/c.jpg").unlink()
    with pytest.raises(DataError, match=r"train\.txt, line 5: names the file '\.\./\.\./d', which is not below"):
        VOC(str(tmp_path)).read("train")
    reader = VOC(str(tmp_path))
    reader.report.lenient = True
    train = reader.read("train")
    assert list(train.names) == ["JPEGImages/a.jpg"]
    found = [(finding.code, finding.path.rpartition("/")[2]) for finding in reader.report.findings]
    assert found == [
        ("duplicate_image", "train.txt, line 4"),
        ("outside_root", "train.txt, line 5"),
        ("bad_annotation", "b.xml, object 2"),
        ("label_missing", "e.xml"),
        ("image_missing", "c"),
    ]
