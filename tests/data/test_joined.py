"""Several data sets are read as one, in which each sample carries the labels of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import Write
from tests.data.test_data_module import Fixed
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.formats.joined import Joined, only
from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.pixels import path_of
from visionkit.data.records import Records
from visionkit.data.sample import read_sample
from visionkit.data.selection.admission import unusable
from visionkit.data.selection.selection import Selection
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import LABEL_KINDS, Classes


def kinds(records: Records) -> list[list[str]]:
    """Return which kinds of labels each sample carries."""
    return [[kind for kind, there in zip(LABEL_KINDS, row, strict=True) if there] for row in records.present]


@pytest.fixture
def parts(records: Records) -> dict[str, Fixed]:
    """Boxes with instance maps and a test split, masks in groups, sets of labels."""
    five = np.arange(5)
    masks = replace(only(records, ("mask",)), groups=Strings("ab"[index % 2] for index in range(10)))
    return {
        "birds": Fixed(**dict.fromkeys(("train", "val", "test"), only(records.take(five[:4]), ("boxes",)))),
        "roads": Fixed(train=masks, val=masks.take(five)),
        "shops": Fixed(train=only(records.take(five + 5), ("multilabel",)), val=only(records, ("multilabel",))),
    }


def test_samples_carry_the_labels_of_their_own_data_set(records: Records, parts: dict[str, Fixed]) -> None:
    reader = Joined(parts)
    assert reader.splits() == ("train", "val", "test")
    train = reader.read("train")
    assert list(train.names) == [
        *(f"birds/{index}.png" for index in range(4)),
        *(f"roads/{index}.png" for index in range(10)),
        *(f"shops/{index}.png" for index in range(5, 10)),
    ]
    assert kinds(train) == [["boxes"]] * 4 + [["mask"]] * 10 + [["multilabel"]] * 5
    assert train.classes == records.classes
    assert train.labels is None
    assert train.instances is None
    asked = ("multilabel", "mask", "boxes")
    bird, road, shop = (read_sample(train, index, asked) for index in (2, 6, 17))
    assert np.array_equal(bird.image, records.images[2])
    assert np.array_equal(bird.boxes, read_sample(records, 2, ("boxes",)).boxes)
    assert np.array_equal(bird.box_label, [2, 2])
    assert (bird.mask == 255).all()
    assert np.array_equal(road.image, records.images[2])
    assert np.array_equal(road.mask, records.masks[2])
    assert len(road.boxes) == 0
    assert np.array_equal(shop.image, records.images[8])
    assert shop.multilabel.tolist() == [1, 0]
    assert len(shop.boxes) == 0


def test_a_sample_without_groups_is_one_by_itself(parts: dict[str, Fixed]) -> None:
    groups = list(Joined(parts).read("train").groups)
    assert groups[:6] == [*(f"birds/{index}.png" for index in range(4)), "roads/a", "roads/b"]


def test_every_split_has_the_classes_of_all_parts(records: Records, parts: dict[str, Fixed]) -> None:
    """So that splits can be cut anew, and a split without a kind says that it lacks the labels, not the classes."""
    reader = Joined(parts)
    test = reader.read("test")
    assert len(test) == 4
    assert test.kinds == ("boxes",)
    assert test.classes == records.classes


def test_splits_are_cut_anew_so_that_each_has_a_fair_share_of_every_kind(records: Records) -> None:
    """Nine carry labels, three boxes, six a mask; what is in both splits of a part is there once."""
    counts = {"labels": 9, "boxes": 3, "mask": 6}
    read = {kind: only(records.take(np.arange(number)), (kind,)) for kind, number in counts.items()}
    reader = Joined({kind: Fixed(train=part, val=part.take(np.arange(2))) for kind, part in read.items()})
    for fold in ("1/3", "2/3", "3/3"):
        val = Selection(reader, split="auto", fold=fold)["val"]
        assert {kind: kinds(val).count([kind]) for kind in counts} == {"labels": 3, "boxes": 1, "mask": 2}


def test_a_part_without_splits_is_cut_where_others_have_some(records: Records, parts: dict[str, Fixed]) -> None:
    whole = {"all": only(records, ("labels",))}
    reader = Joined({"roads": parts["roads"], "things": Fixed(**whole)})
    alone = Selection(Fixed(**whole))
    for split in ("train", "val"):
        cut = [name for name in reader.read(split).names if name.startswith("things/")]
        assert cut == [f"things/{name}" for name in alone[split].names]
    assert reader.splits() == ("train", "val")
    unsplit = Joined({"things": Fixed(**whole), "others": Fixed(**whole)})
    assert unsplit.splits() == ("all",)
    assert len(unsplit.read("all")) == 20


def test_kinds_are_taken_of_a_part(records: Records) -> None:
    roads = replace(records, classes=Classes(labels=("p", "q"), mask=records.classes.mask, boxes=("r",)))
    both = {"things": Fixed(train=records), "roads": Fixed(train=roads)}
    with pytest.raises(DataError) as raised:
        Joined(both).read("train")
    assert "the classes of labels and multilabel are a, b in things but p, q in roads" in str(raised.value)
    assert "data.kinds={roads:[mask,boxes]}" in str(raised.value)
    train = Joined(both, {"roads": ["mask"]}).read("train")
    assert kinds(train) == [list(LABEL_KINDS)] * 10 + [["mask"]] * 10
    assert train.classes == records.classes
    assert len(train.boxes) == len(records.boxes)


def test_files_are_found_and_what_is_wrong_with_them_is_told(write: Write, tmp_path: Path) -> None:
    for name in ("train/ant/1.png", "train/bee/1.png"):
        write(f"shops/{name}")
    for number in range(2):
        write(f"roads/images/train/{number}.png")
        write(f"roads/masks/train/{number}.png", np.full((8, 10), number, dtype=np.uint8))
    (tmp_path / "shops/train/cow").mkdir()
    shops, roads = ImageFolder(str(tmp_path / "shops")), MaskFolder(str(tmp_path / "roads"))
    reader = Joined({"shops": shops, "roads": roads})
    with pytest.raises(DataError, match="cow: holds no images"):
        reader.read("train")
    reader.report.lenient = True
    train = reader.read("train")
    assert [finding.code for finding in reader.report.findings] == ["class_empty"]
    assert [path_of(train.images, index).name for index in (1, 2)] == ["1.png", "0.png"]
    assert [path_of(train.masks, index) for index in (0, 3)] == [None, tmp_path / "roads/masks/train/1.png"]
    assert [unusable(train, index) for index in range(4)] == [""] * 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (({},), "data.parts names no data set; give each part a name"),
        (({"roads": {"root": "x"}},), "data.parts.roads is no reader"),
        (({"roads": Fixed()}, {"road": ["mask"]}), "data.kinds.road: there is no such part; did you mean 'roads'?"),
        (({"roads": Fixed()}, {"roads": ["masks"]}), "give a list out of labels, multilabel, mask, boxes"),
        (({"roads": Fixed()}, {"roads": []}), "give a list out of labels, multilabel, mask, boxes"),
    ],
)
def test_wrong_parts_are_refused(given: tuple[dict[str, object], ...], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Joined(*given)
    assert said in str(raised.value)
