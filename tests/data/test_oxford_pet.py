"""Oxford-IIIT Pet in a small fake of its layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import OxfordIIITPet

from visionkit.data.formats.oxford_pet import OxfordPet
from visionkit.data.module import DataModule
from visionkit.data.selection.selection import Selection
from visionkit.errors import DataError

Write = Callable[..., Path]

BREEDS = ("Abyssinian", "american_bulldog")  # a cat and a dog
TRIMAP = np.asarray([[2, 2, 2, 2], [2, 3, 3, 2], [3, 1, 1, 3]], dtype=np.uint8).repeat(3, axis=0)


def head(name: str, *box: int) -> str:
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<annotation><object><name>{name}</name><bndbox>{sides}</bndbox></object></annotation>"


@pytest.fixture
def root(tmp_path: Path, write: Write) -> Path:
    """Ten trainval and two test images of each of two breeds; trainval images of an even number have a box."""
    folder = tmp_path / "oxford-iiit-pet"
    (folder / "annotations/xmls").mkdir(parents=True)
    lists: dict[str, list[str]] = {"trainval": [], "test": []}
    for breed, name in enumerate(BREEDS):
        for number in range(12):
            stem = f"{name}_{number}"
            write(f"oxford-iiit-pet/images/{stem}.jpg", np.full((9, 4, 3), 20 * number, dtype=np.uint8))
            write(f"oxford-iiit-pet/annotations/trimaps/{stem}.png", TRIMAP)
            lists["trainval" if number < 10 else "test"].append(f"{stem} {breed + 1} {breed + 1} 1")
            if number < 10 and number % 2 == 0:
                text = head(("cat", "dog")[breed], 1, number % 5, 3, 8)
                (folder / f"annotations/xmls/{stem}.xml").write_text(text)
    for name, lines in lists.items():
        (folder / f"annotations/{name}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_splits_breeds_masks_and_boxes(root: Path) -> None:
    reader = OxfordPet(str(root))
    assert reader.splits() == ("train", "val", "test")
    train, val, test = (reader.read(split) for split in reader.splits())
    assert train.classes.labels == ("Abyssinian", "American Bulldog")
    assert train.classes.mask == ("background", "pet")
    assert train.classes.boxes == ("cat", "dog")
    held = [f"oxford-iiit-pet/images/{breed}_{number}.jpg" for breed in BREEDS for number in (4, 9)]
    assert list(val.names) == held
    assert val.labels.tolist() == [0, 0, 1, 1]
    assert len(train) == 16
    assert not set(train.names) & set(held)
    assert [name.rsplit("_", 1)[1] for name in test.names] == ["10.jpg", "11.jpg"] * 2
    expected = np.asarray([[0, 0, 0, 0], [0, 255, 255, 0], [255, 1, 1, 255]]).repeat(3, axis=0)
    assert np.array_equal(val.masks[1], expected)
    # Of the images 4 and 9 of a breed, the first has a box.
    assert val.box_start.tolist() == [0, 1, 1, 2, 2]
    assert val.boxes.tolist() == [[1, 4, 3, 8], [1, 4, 3, 8]]
    assert val.box_label.tolist() == [0, 1]
    assert val.present[:, 3].tolist() == [True, False, True, False]
    assert val.present[:, [0, 2]].all()
    assert not val.present[:, 1].any()
    assert train.box_label.tolist() == [0] * 4 + [1] * 4
    assert train.boxes[:, 1].tolist() == [0, 2, 1, 3] * 2
    assert test.kinds == ("labels", "mask")
    assert abs(int(train.images[1].mean()) - 20) < 3


def test_a_test_split_without_boxes_is_not_evaluated(root: Path) -> None:
    records = Selection(OxfordPet(str(root)))
    for kinds, measured in (
        (("boxes",), ("val",)),
        (("labels", "mask"), ("val", "test")),
        (("mask", "boxes"), ("val",)),
    ):
        assert DataModule(records, None, 32, 4, 0, 0, kinds).measured == measured


def test_broken_parts_are_named(root: Path) -> None:
    annotations = root / "oxford-iiit-pet/annotations"
    whole = (annotations / "trainval.txt").read_text()
    for line, said in (("Abyssinian_1 1 1", "line 2: is no"), ("../../a_1 1 1 1", "line 2: names the file")):
        lines = whole.splitlines()
        lines[1] = line
        (annotations / "trainval.txt").write_text("\n".join(lines))
        with pytest.raises(DataError, match=rf"trainval\.txt, {said}"):
            OxfordPet(str(root)).read("train")
    (annotations / "trainval.txt").write_text(whole)
    (annotations / "xmls/Abyssinian_2.xml").write_text(head("cow", 1, 1, 2, 2))
    with pytest.raises(DataError, match=r"Abyssinian_2\.xml: names 'cow'; cat and dog are known"):
        OxfordPet(str(root)).read("train")
    lenient = OxfordPet(str(root))
    lenient.report.lenient = True
    records = lenient.read("train")
    assert records.present[2, 3] == np.False_
    assert len(records.boxes) == 7


def test_what_is_not_there_is_asked_for_or_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"data\.download=true to download Oxford-IIIT Pet \(811 MB\)"):
        OxfordPet(str(tmp_path)).splits()
    calls = []

    def download(self: OxfordIIITPet) -> None:
        calls.append(self.root)
        raise OSError("Network is unreachable")

    monkeypatch.setattr(OxfordIIITPet, "_download", download)
    with pytest.raises(DataError, match=r"cannot be downloaded \(Network is unreachable\); .*~vgg/data/pets"):
        OxfordPet(str(tmp_path), download=True).splits()
    assert calls == [tmp_path]
