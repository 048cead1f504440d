"""Real data sets are read completely, through to batches."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.augmentation.augment import Augment
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.formats.voc.reader import VOC
from visionkit.data.module import DataModule
from visionkit.data.records import Records
from visionkit.data.selection.selection import Selection


def test_bccd(real_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = VOC(str(real_data / "bccd"))
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        parts = dict(Selection(reader))
    assert {split: len(part) for split, part in parts.items()} == {"train": 205, "val": 87, "test": 72}
    classes = parts["train"].classes.boxes
    assert classes == ("Platelets", "RBC", "WBC")
    counts: Counter[str] = Counter()
    for part in parts.values():
        assert part.box_label is not None
        assert part.boxes is not None
        counts.update(classes[label] for label in part.box_label.tolist())
        assert (part.boxes[:, 2:] > part.boxes[:, :2]).all()
        assert part.boxes.min() >= 0
    assert counts.total() == 4888 - 2
    assert counts["WBC"] == 372
    assert len(caplog.records) == 1
    assert all(f"BloodImage_{number}.xml, object" in caplog.text for number in ("00338", "00343"))
    assert all(np.asarray(part.images[0]).shape == (480, 640, 3) for part in parts.values())

    data = DataModule(Selection(reader), None, 160, 32, 0, 0, ("boxes",))
    seen = sum(len(batch.ids) for batch in data.test_dataloader())
    assert seen == 72


def test_clothing10(real_data: Path) -> None:
    reader = ImageFolder(str(real_data / "clothing10"))
    parts = {split: reader.read(split) for split in reader.splits()}
    assert {split: len(part) for split, part in parts.items()} == {"train": 240, "val": 70, "test": 70}
    for part in parts.values():
        assert part.labels is not None
        assert part.classes.labels is not None
        assert len(part.classes.labels) == 10
        assert set(np.bincount(part.labels).tolist()) == {len(part) // 10}
    flip = Augment([{"HorizontalFlip": {"p": 0.5}}, {"CropAndPad": {"percent": [-0.2, 0.0], "keep_size": False}}])
    data = DataModule(Selection(reader), flip, [96, 64], 40, 2, 0, ("labels",))
    batches = list(data.train_dataloader())
    assert sum(len(batch.ids) for batch in batches) == 240
    assert batches[0].images.shape == (40, 3, 96, 64)


def whole(records: Records) -> set[int]:
    assert records.masks is not None
    return {int(value) for index in range(len(records)) for value in np.unique(records.masks[index])}


def test_camvid(real_data: Path) -> None:
    reader = MaskFolder(str(real_data / "camvid"), ignore=11)
    parts = {split: reader.read(split) for split in reader.splits()}
    assert {split: len(part) for split, part in parts.items()} == {"train": 24, "val": 8, "test": 8}
    for part in parts.values():
        assert part.classes.mask == tuple(str(value) for value in range(11))
        assert whole(part) <= {*range(11), 255}
    assert 255 in whole(parts["train"])
    data = DataModule(Selection(reader), None, [90, 120], 8, 0, 0, ("mask",))
    batch = next(iter(data.val_dataloader()))
    assert batch.targets.mask is not None
    assert batch.targets.mask.shape == (8, 90, 120)
    assert batch.sizes.tolist() == [[360, 480]] * 8
