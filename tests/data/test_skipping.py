"""A sample that cannot be read becomes a grey one without labels, and is noted once."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import Write, paint
from visionkit.data.augmentation.augment import Augment
from visionkit.data.dataset import Samples
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.geometry import PAD_VALUE, Fit
from visionkit.data.loader import ResumableLoader, plain_loader
from visionkit.data.records import Records
from visionkit.data.sample import KINDS
from visionkit.data.sampler import TrainBatches
from visionkit.data.skipping import Forgiving, Skipped, blank
from visionkit.errors import DataError

SIZE = (16, 20)


@pytest.fixture
def root(write: Write, tmp_path: Path) -> Path:
    """Eight pictures of two classes, of which the third of the first is cut off."""
    for number in range(8):
        write(f"train/{'ab'[number % 2]}/{number}.png", paint(12, 15, number))
    broken = tmp_path / "train/a/4.png"
    broken.write_bytes(broken.read_bytes()[:60])
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_stay_as_they_are(root: Path, tmp_path: Path, workers: int) -> None:
    records = ImageFolder(str(root)).read("train")
    whole = records.take(np.asarray([0, 1, 3, 4, 5, 6, 7]))
    skipped = Skipped(tmp_path)
    for _ in range(2):  # noted once, by whichever worker
        (batch,) = plain_loader(records, Fit(SIZE), 8, ("labels",), workers, skipped=skipped)
    (expected,) = plain_loader(whole, Fit(SIZE), 8, ("labels",))
    assert batch.ids.tolist() == list(range(8))
    assert batch.targets.present is not None
    assert batch.targets.present[:, 0].tolist() == [True, True, False, True, True, True, True, True]
    assert (batch.images[[0, 1, 3, 4, 5, 6, 7]] == expected.images).all()
    assert (batch.images[2] == PAD_VALUE).all()
    (said,) = Skipped(tmp_path).entries()
    assert said.startswith(f"{root / 'train/a/4.png'}: cannot be decoded")


def test_without_it_the_first_one_ends_the_run(root: Path) -> None:
    records = ImageFolder(str(root)).read("train")
    with pytest.raises(DataError, match=r"4\.png"):
        list(plain_loader(records, Fit(SIZE), 8, ("labels",)))


def test_training_batches_are_the_same_for_all_others(root: Path) -> None:
    records = ImageFolder(str(root)).read("train")
    augment = Augment([{"HorizontalFlip": {"p": 0.5}}])
    samples = Samples(records, Fit(SIZE), ("labels",), augment, seed=3)
    batches = list(ResumableLoader(samples, TrainBatches(8, 4, 3, 0, 1), skipped=Skipped()))
    good = Samples(records, Fit(SIZE), ("labels",), augment, seed=3)
    for batch in batches:
        for row, index in enumerate(batch.ids.tolist()):
            if index != 2:
                assert (batch.images[row].permute(1, 2, 0).numpy() == good[0, index].image).all()


def test_a_mask_that_does_not_fit_is_skipped_too(write: Write, tmp_path: Path) -> None:
    for number in range(3):
        write(f"images/train/{number}.png", paint(12, 15, number))
        write(f"masks/train/{number}.png", np.ones((12, 15 - (number == 1)), np.uint8))
    records = MaskFolder(str(tmp_path), class_names=("a", "b")).read("train")
    skipped = Skipped()
    (batch,) = plain_loader(records, Fit(SIZE), 4, ("mask",), skipped=skipped)
    assert batch.targets.mask is not None
    assert (batch.targets.mask[1] == 255).all()
    assert (batch.targets.mask[0] == 1).any()
    assert batch.targets.present is not None
    assert batch.targets.present[:, 2].tolist() == [True, False, True]
    assert "1.png: is 12 x 14 pixels" in skipped.entries()[0]


def test_a_blank_has_every_kind_of_field_and_no_label(records: Records) -> None:
    kinds = KINDS
    empty, full = Samples(blank(records), Fit(SIZE), ()), Samples(records, Fit(SIZE), kinds)
    empty.kinds = full.kinds
    grey, sample = empty[0, 2], full[0, 2]
    for name, value in sample._asdict().items():
        assert (getattr(grey, name) is None) == (value is None), name
    assert not grey.present.any()
    assert grey.boxes is not None
    assert len(grey.boxes) == 0
    assert grey.image.shape == sample.image.shape
    assert (grey.mask == 255).all()
    assert grey.instances is not None
    assert not grey.instances.any()


def test_none_that_can_be_read_is_an_error(root: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    records = ImageFolder(str(root)).read("train")
    with pytest.raises(DataError, match="none of 8 images"):
        Forgiving(Samples(records, Fit(SIZE), ("labels",)), Skipped())[0, 1]


def test_what_is_noted_is_logged_once_over_all_processes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = logging.getLogger("visionkit")  # as it is before any command, whichever ran here
    monkeypatch.setattr(ours, "propagate", True)
    monkeypatch.setattr(ours, "handlers", [])
    one, two = Skipped(tmp_path), Skipped(tmp_path)
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        for skipped in (one, two, one):
            skipped.note("a.jpg: ü")
        two.note("b.jpg: cut")
    assert one.entries() == two.entries() == ["a.jpg: ü", "b.jpg: cut"]
    assert [record.getMessage() for record in caplog.records] == ["skipped: a.jpg: ü", "skipped: b.jpg: cut"]
    assert Skipped(tmp_path / "other").entries() == []
