from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.selection.selection import Selection, folds
from visionkit.data.selection.shown import shown
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import Classes


def labelled(names: Sequence[str], labels: Sequence[int], groups: Sequence[str] | None = None) -> Records:
    """Images whose first pixel is their place in `names`."""
    images = np.zeros((len(names), 2, 2, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(len(names))
    return Records(
        images=images,
        names=Strings(names),
        classes=Classes(labels=("ant", "bee", "cat")),
        labels=np.asarray(labels, dtype=np.int64),
        groups=None if groups is None else Strings(groups),
    )


class Fixed(Reader):
    """Hands out given records and counts how often."""

    def __init__(self, **records: Records) -> None:
        super().__init__()
        self.records = records
        self.reads: list[str] = []

    def splits(self) -> tuple[str, ...]:
        return tuple(self.records)

    def read(self, split: str) -> Records:
        self.reads.append(split)
        return self.records[split]


def scenes(number: int = 20, patients: int = 6) -> Records:
    return labelled(
        [f"p{index % patients}_{index}.png" for index in range(number)], [index % 3 for index in range(number)]
    )


def names(selection: Selection, split: str = "val") -> list[str]:
    return list(selection[split].names)


def test_splits_of_the_format_are_taken_as_they_are(records: Records) -> None:
    reader = Fixed(train=records, test=records)
    parts = Selection(reader)
    assert list(parts) == ["train", "test"]
    assert len(parts) == 2
    assert "val" not in parts
    assert reader.reads == []
    assert parts["test"] is records
    with pytest.raises(DataError, match="no split 'val'; it has train, test"):
        parts["val"]


def test_data_without_splits_are_cut_once() -> None:
    reader = Fixed(all=scenes())
    parts = Selection(reader)
    assert list(parts) == ["train", "val"]
    val, train = parts["val"], parts["train"]
    assert reader.reads == ["all"]
    assert (len(train), len(val)) == (16, 4)
    assert sorted([*train.names, *val.names]) == sorted(reader.records["all"].names)
    for part in (train, val):  # pictures and labels go with their names
        for index, name in enumerate(part.names):
            number = int(name.split("_")[1].removesuffix(".png"))
            assert part.images[index][0, 0, 0] == number
            assert part.labels is not None
            assert part.labels[index] == number % 3
        assert list(part.names) == [name for name in reader.records["all"].names if name in set(part.names)]


@pytest.mark.parametrize("group", [None, r"^p\d+"])
@pytest.mark.parametrize("number", [2, 5, 6])
def test_folds_part_the_images(number: int, group: str | None) -> None:
    reader = Fixed(all=scenes())
    every = set(reader.records["all"].names)
    seen: list[str] = []
    for fold in range(1, number + 1):
        parts = Selection(reader, fold=f"{fold}/{number}", group=group)
        val, train = names(parts), names(parts, "train")
        assert set(val) | set(train) == every
        assert not set(val) & set(train)
        if group:
            assert not {name.split("_")[0] for name in val} & {name.split("_")[0] for name in train}
        seen += val
    assert sorted(seen) == sorted(every)


def test_the_first_of_five_is_what_no_fold_means() -> None:
    reader = Fixed(all=scenes())
    assert names(Selection(reader)) == names(Selection(reader, fold="1/5"))
    assert names(Selection(reader)) != names(Selection(reader, fold="2/5"))
    every = list(reader.records["all"].names)
    of = folds.cut(folds.items(every), shown(reader.records["all"]), 5)
    for number in range(5):
        part = names(Selection(reader, fold=f"{number + 1}/5"))
        assert part == [name for name, fold in zip(every, of, strict=True) if fold == number]
    few = Fixed(all=labelled(["a", "b", "c"], [0, 0, 0]))
    assert names(Selection(few)) == names(Selection(few, fold="1/3"))


def test_auto_puts_train_and_val_together_and_leaves_test() -> None:
    whole = scenes()
    train, val = whole.take(np.arange(15)), whole.take(np.arange(15, 20))
    reader = Fixed(train=train, val=val, test=val)
    parts = Selection(reader, split="auto", fold="2/4")
    assert list(parts) == ["train", "val", "test"]
    assert parts["test"] is val
    expected = Selection(Fixed(all=whole), fold="2/4")
    for split in ("train", "val"):
        assert names(parts, split) == names(expected, split)
    assert list(Selection(Fixed(train=train), split="auto")) == ["train", "val"]
    with pytest.raises(DataError, match="test split only"):
        Selection(Fixed(test=val), split="auto")["train"]


def test_an_image_of_both_splits_is_taken_once() -> None:
    whole = scenes()
    reader = Fixed(train=whole, val=whole.take(np.asarray([3, 5])))
    parts = Selection(reader, split="auto")
    assert sorted(names(parts) + names(parts, "train")) == sorted(whole.names)


def test_the_order_of_files_does_not_matter() -> None:
    whole = scenes()
    shuffled = whole.take(np.random.default_rng(0).permutation(20))
    for chosen in ({}, {"fold": "3/5"}, {"group": r"^p\d"}, {"limit": 3}):
        one, other = Selection(Fixed(all=whole), **chosen), Selection(Fixed(all=shuffled), **chosen)
        assert set(names(one)) == set(names(other))
        assert set(names(one, "train")) == set(names(other, "train"))


def test_groups_are_found_by_their_first_bracket_or_the_whole_match() -> None:
    reader = Fixed(all=scenes())
    by_bracket = Selection(reader, group=r"^p(\d)_", fold="1/3")
    by_match = Selection(reader, group=r"(?<=^p)\d", fold="1/3")
    assert names(by_bracket) == names(by_match)
    assert len({name[:2] for name in names(by_bracket)}) == 2
    assert names(Selection(reader, group=r"^p(\d)_.*", fold="1/3")) == names(by_bracket)
    either = Selection(reader, group=r"^p([01])_|.*", fold="1/3")  # the others stand alone
    assert len({name[:2] for name in names(either)} & {"p0", "p1"}) <= 1
    with pytest.raises(ConfigError, match=r"data.group=p0 is not found in 16 of 20 image names, such as p1_1.png"):
        Selection(reader, group="p0")["train"]


def test_groups_of_the_format_stay_together_unless_a_key_names_others() -> None:
    every = [f"{index}.png" for index in range(12)]
    reader = Fixed(all=labelled(every, [0] * 12, [f"g{index // 4}" for index in range(12)]))
    parts = Selection(reader)
    assert len(parts["val"]) == 4
    assert parts["val"].groups is not None
    assert len(set(parts["val"].groups)) == 1
    assert len(Selection(reader, group=".*", fold="1/6")["val"]) == 2


@pytest.mark.parametrize("chosen", [{"fold": "1/5"}, {"group": "p"}])
def test_what_is_for_a_cut_is_refused_without_one(chosen: dict[str, Any], records: Records) -> None:
    reader = Fixed(train=records, val=records)
    (key,) = chosen
    with pytest.raises(ConfigError, match=f"data.{key}=.* name their splits .train, val.; add data.split=auto"):
        "val" in Selection(reader, **chosen)  # noqa: B015
    assert "val" in Selection(reader, split="auto", **chosen)


def test_too_few_to_cut() -> None:
    with pytest.raises(DataError, match="1 image cannot be cut into 2 folds; add images"):
        Selection(Fixed(all=labelled(["a"], [0])))["train"]
    with pytest.raises(DataError, match=r"3 images cannot be cut into 4 folds; give data.fold=1/3"):
        Selection(Fixed(all=labelled(["a", "b", "c"], [0, 1, 2])), fold="2/4")["train"]
    with pytest.raises(DataError, match="1 group cannot be cut"):
        Selection(Fixed(all=scenes(patients=1)), group=r"^p\d")["train"]


def test_classes_are_chosen_after_the_cut() -> None:
    reader = Fixed(all=scenes())
    whole, some = Selection(reader), Selection(reader, classes={"dog": ["cat"], "ant": "ant"}, kinds=("labels",))
    for split in ("train", "val"):
        part = some[split]
        assert part.labels is not None
        assert part.classes.labels == ("dog", "ant")
        labels = whole[split].labels
        assert labels is not None
        kept = [(name, [1, -1, 0][label]) for name, label in zip(whole[split].names, labels, strict=True) if label != 1]
        assert list(zip(part.names, part.labels.tolist(), strict=True)) == kept


def test_a_split_without_any_of_the_classes_is_named() -> None:
    train, val = scenes(), labelled(["v.png"], [0])
    parts = Selection(Fixed(train=train, val=val), classes=["bee", "cat"], kinds=("labels",))
    assert len(parts["train"]) == 13
    with pytest.raises(DataError, match=r"the split val has no image of data.classes: bee, cat"):
        parts["val"]


def test_limits_hold_for_each_split_and_are_nested() -> None:
    train, test = scenes(), scenes(9)
    before: dict[str, set[str]] = {"train": set(), "test": set()}
    for limit in (1, 3, 6, 9, 30):
        parts = Selection(Fixed(train=train, test=test), limit=limit)
        for split, whole in (("train", train), ("test", test)):
            part = parts[split]
            assert len(part) == min(limit, len(whole))
            assert before[split] <= set(part.names)
            before[split] = set(part.names)
            assert part.labels is not None
            counts = np.bincount(part.labels, minlength=3)
            assert counts.max() - counts.min() <= 1
    assert Selection(Fixed(train=train), limit=20)["train"] is train


def test_the_limit_counts_the_chosen_classes() -> None:
    parts = Selection(Fixed(train=scenes()), limit=4, classes=["bee", "cat"], kinds=("labels",))
    labels = parts["train"].labels
    assert labels is not None
    assert np.bincount(labels).tolist() == [2, 2]


def test_boxes_are_stratified_too(records: Records) -> None:
    parts = Selection(Fixed(all=replace(records, labels=None, multilabel=None)), fold="1/2")
    counts = [np.bincount(shown(part).label, minlength=3) for part in parts.values()]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert abs(len(parts["train"]) - len(parts["val"])) <= 1


def test_wrong_values_are_refused_at_once() -> None:
    for wrong in ({"fold": "0/5"}, {"group": "("}, {"classes": []}):
        with pytest.raises(ConfigError, match=rf"data\.{next(iter(wrong))}="):
            Selection(Fixed(), **wrong)  # type: ignore[arg-type]


def test_what_other_mask_classes_become_is_said(records: Records, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        Selection(Fixed(train=records), classes=["thing", "ground"], background=1, kinds=("mask",))
        assert "data.background=1 is ground of data.classes: mask pixels" in caplog.text
        caplog.clear()
        Selection(Fixed(train=records), classes=["thing"], kinds=("mask",))
        Selection(Fixed(train=records), background=0, kinds=("mask",))
        Selection(Fixed(train=records), classes=["x"], background=0, kinds=("boxes",))
        assert not caplog.text
