from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from visionkit.data.augmentation.augment import Augment
from visionkit.data.module import DataModule
from visionkit.data.pictures.files import ImageFiles
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.selection.selection import Selection
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import LABEL_KINDS, Classes


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


def module(reader: Reader, workers: int | None = None, kinds: tuple[str, ...] = ("labels",)) -> DataModule:
    augment = Augment([{"VerticalFlip": {"p": 1.0}}])
    return DataModule(Selection(reader), augment, size=[12, 16], batch_size=4, workers=workers, seed=1, kinds=kinds)


def test_splits_are_read_once_and_when_needed(records: Records) -> None:
    reader = Fixed(train=records, val=records)
    data = module(reader)
    assert "val" in data.records
    assert "test" not in data.records
    assert list(data.records) == ["train", "val"]
    assert reader.reads == []
    assert data.records["val"] is data.records["val"]
    assert reader.reads == ["val"]
    assert data.classes.labels == ("a", "b")


def test_training_is_augmented_and_evaluation_is_not(records: Records) -> None:
    data = module(Fixed(train=records, val=records, test=records))
    pixels = torch.from_numpy(records.images).permute(0, 3, 1, 2)  # type: ignore[arg-type]
    batches = list(data.train_dataloader())
    assert [len(batch.ids) for batch in batches] == [4, 4]
    assert all(torch.equal(batch.images, pixels[batch.ids].flip(2)) for batch in batches)
    for loader in (data.val_dataloader(), data.test_dataloader(), data.plain_dataloader("train")):
        assert torch.equal(torch.cat([batch.images for batch in loader]), pixels)


def test_rank_and_world_size_come_from_the_trainer(records: Records) -> None:
    data = module(Fixed(train=records, val=records))
    whole = [batch.ids.tolist() for batch in data.train_dataloader()]
    data.trainer = SimpleNamespace(global_rank=1, world_size=2)  # type: ignore[assignment]
    assert [batch.ids.tolist() for batch in data.train_dataloader()] == [ids[1::2] for ids in whole]
    assert [batch.ids.tolist() for batch in data.val_dataloader()] == [[1, 3], [5, 7], [9]]


def test_training_images_are_drawn_by_their_weight(records: Records) -> None:
    def weigh(of: Records) -> NDArray[np.float64]:
        assert of is records
        return np.asarray([1.0] * 9 + [11.0])

    data = DataModule(Selection(Fixed(train=records, val=records)), None, 12, 5, 0, 0, ("labels",), weigh)
    drawn = torch.cat([batch.ids for batch in data.train_dataloader()]).tolist()
    assert drawn.count(9) in (5, 6)
    assert len(drawn) == 10
    assert torch.cat([batch.ids for batch in data.val_dataloader()]).tolist() == list(range(10))


def test_number_of_workers(records: Records, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)), raising=False)
    files = Records(ImageFiles(tmp_path, ["a"]), Strings(["a"]), Classes())
    data = module(Fixed(train=records))
    assert data.num_workers(records) == 0
    assert data.num_workers(files) == 8
    data.trainer = SimpleNamespace(global_rank=0, world_size=4)  # type: ignore[assignment]
    assert data.num_workers(files) == 3
    assert module(Fixed(), workers=5).num_workers(records) == 5


def test_what_is_missing_is_named(records: Records) -> None:
    data = module(Fixed(train=records), kinds=("boxes",))
    with pytest.raises(DataError, match="no split 'val'; it has train"):
        data.val_dataloader()
    labels = Records(records.images, records.names, records.classes, labels=records.labels)
    with pytest.raises(ConfigError, match="needs boxes, but these images have image labels"):
        module(Fixed(train=labels), kinds=("boxes",)).train_dataloader()
    with pytest.raises(ConfigError, match="size=0"):
        DataModule(Selection(Fixed()), None, 0, 4, 0, 0, ("labels",))


def test_labelled_samples_are_found_wherever_they_lie(records: Records) -> None:
    """Of a joined data set the first fifty batches may carry no label of a kind."""
    present = records.present.copy()
    present[:8, LABEL_KINDS.index("labels")] = False
    data = module(Fixed(train=replace(records, present=present), val=records), kinds=("labels", "mask"))
    (batch,) = data.labelled_dataloader("train", "labels")
    assert batch.targets.labels.tolist() == [0, 1]
    assert [int(image[0, 0, 0]) for image in batch.images] == [8, 9]
    assert batch.targets.mask is None
    assert sum(len(batch.ids) for batch in data.labelled_dataloader("train", "mask")) == 10
