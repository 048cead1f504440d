from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from visionkit.data.augmentation.augment import Augment
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Crop, Fit
from visionkit.data.loader import plain_loader
from visionkit.data.pictures.cache import Cache
from visionkit.data.pictures.copies import Copies, Shrink, for_crops
from visionkit.data.pictures.files import ImageFiles, MaskFiles
from visionkit.data.records import Records
from visionkit.data.sample import Sample
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import LABEL_KINDS, Classes

KINDS = ("mask", "boxes")
NUMBER = 4


def write(folder: Path, index: int, shape: tuple[int, int], seed: int = 0) -> None:
    rng = np.random.default_rng((index, seed))
    image = cv2.resize(rng.integers(90, 166, (6, 8, 3), dtype=np.uint8), shape[::-1], interpolation=cv2.INTER_CUBIC)
    mask = np.zeros(shape, dtype=np.uint8)
    mask[5 : shape[0] // 2, 9 : shape[1] // 2] = 1
    mask[-4:] = 3
    assert cv2.imwrite(str(folder / f"{index}.png"), image)
    assert cv2.imwrite(str(folder / f"{index}_mask.png"), mask)


def records(folder: Path, ignore: tuple[int, ...] = (3,)) -> Records:
    """Images and masks in files; the last sample has no mask."""
    names = Strings(f"{index}.png" for index in range(NUMBER))
    present = np.ones((NUMBER, len(LABEL_KINDS)), dtype=bool)
    present[-1, LABEL_KINDS.index("mask")] = False
    return Records(
        images=ImageFiles(folder, names),
        names=names,
        classes=Classes(mask=("a", "b"), boxes=("x",)),
        masks=MaskFiles(folder, [f"{index}_mask.png" for index in range(NUMBER)], 4, ignore),
        boxes=np.tile(np.asarray([[9, 5, 40, 30]], dtype=np.float32), (NUMBER, 1)),
        box_label=np.zeros(NUMBER, dtype=np.int64),
        box_ignore=np.zeros(NUMBER, dtype=bool),
        box_start=np.arange(NUMBER + 1),
        present=present,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for index, shape in enumerate([(90, 120), (61, 83), (200, 70), (33, 44)]):
        write(tmp_path / "data", index, shape)
    return tmp_path / "data"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    (tmp_path / "cache").mkdir()
    return Cache(tmp_path / "cache")


def equal(one: Sample, other: Sample) -> bool:
    pairs = zip(one, other, strict=True)
    return all(a is b is None or np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


@pytest.mark.parametrize("resize", [Fit((48, 64)), Crop((48, 64))])
def test_evaluation_is_the_same_with_and_without(folder: Path, cache: Cache, resize: Any) -> None:
    plain = Samples(records(folder), resize, KINDS)
    for _ in range(2):
        copied = Samples(records(folder), resize, KINDS, copies=Copies(cache, resize))
        assert all(equal(copied[0, index], plain[0, index]) for index in range(NUMBER))
    assert len(list(cache.folder.iterdir())) == 2 * NUMBER - 1


def test_training_is_the_same_from_a_new_copy_and_a_kept_one(folder: Path, cache: Cache) -> None:
    augment = Augment(crop={"scale": [0.3, 1.0], "ratio": [0.8, 1.2]}, mirror=0.5)
    made = []
    for _ in range(2):
        samples = Samples(records(folder), Fit((32, 48)), KINDS, augment, 0, Copies(cache, for_crops((32, 48))))
        made.append([samples[epoch, index] for epoch in range(3) for index in range(NUMBER)])
    assert all(equal(*pair) for pair in zip(*made, strict=True))
    assert [sample.size for sample in made[0][:NUMBER]] == [(90, 120), (61, 83), (200, 70), (33, 44)]


def test_labels_of_a_copy_lie_where_those_of_the_image_do(folder: Path, cache: Cache) -> None:
    """Without a crop, from a copy of half the size: boxes to a fraction of a pixel, masks but for their edges."""
    copied = Samples(records(folder), Fit((30, 40)), KINDS, Augment(mirror=1.0), 0, Copies(cache, Shrink(45)))
    plain = Samples(records(folder), Fit((30, 40)), KINDS, Augment(mirror=1.0))
    for index in (0, 1, 3):  # the other is so narrow that a pixel's rounding is a tenth of it
        one, other = copied[0, index], plain[0, index]
        assert one.boxes == pytest.approx(other.boxes, abs=0.35)
        assert one.mask is not None
        assert other.mask is not None
        assert (one.mask != other.mask).mean() < 0.06
        assert np.median(np.abs(one.image.astype(int) - other.image)) < 4


def test_copies_are_never_enlarged() -> None:
    assert Shrink(256).place(100, 300).inner == (100, 300)
    assert Shrink(256).place(512, 1000).inner == (256, 500)
    assert Shrink(256).place(1000, 512).inner == (500, 256)
    assert for_crops((224, 112)) == Shrink(256)
    assert for_crops((225, 100)) == Shrink(258)


def read(folder: Path, cache: Cache, **options: Any) -> Sample:
    return Copies(cache, Fit((48, 64))).read(records(folder, **options), 0, KINDS)


def test_a_changed_file_is_read_anew(folder: Path, cache: Cache) -> None:
    first = read(folder, cache)
    kept = folder.joinpath("0.png").stat()
    write(folder, 0, (90, 120), seed=1)
    os.utime(folder / "0.png", ns=(kept.st_atime_ns, kept.st_mtime_ns))  # the time of change remains
    second = read(folder, cache)
    assert not np.array_equal(first.image, second.image)
    write(folder, 0, (61, 83), seed=1)
    third = read(folder, cache)
    assert third.size == (61, 83)
    assert third.mask is not None
    assert (third.mask == 255).any()
    fresh = Samples(records(folder), Fit((48, 64)), KINDS)[0, 0]
    assert equal(third, fresh)


def test_a_file_changed_behind_its_clock_is_read_anew(folder: Path, cache: Cache) -> None:
    """The same file of the same length, its time of change put back: the system keeps another one."""
    path, pixels = folder / "0.png", np.zeros((90, 120, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(".bmp", pixels)[1].tobytes())
    kept = path.stat()
    assert (read(folder, cache).image[:36] == 0).all()
    path.write_bytes(cv2.imencode(".bmp", pixels + 9)[1].tobytes())
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_size) == (kept.st_ino, kept.st_size)
    assert (read(folder, cache).image[:36] == 9).all()


def test_sizes_do_not_share_copies(folder: Path, cache: Cache) -> None:
    for resize in (Fit((48, 64)), Fit((24, 32)), Crop((48, 64)), Shrink(30)):
        sample = Copies(cache, resize).read(records(folder), 0, KINDS)
        expected = resize.place(90, 120).image(np.asarray(records(folder).images[0]))
        assert np.array_equal(sample.image, expected)


def test_another_meaning_of_the_values_is_another_mask(folder: Path, cache: Cache) -> None:
    one, other = read(folder, cache).mask, read(folder, cache, ignore=()).mask
    assert one is not None
    assert other is not None
    assert set(np.unique(one)) == {0, 1, 255}
    assert set(np.unique(other)) == {0, 1, 3}


def test_a_file_moved_into_the_place_of_another_is_noticed(folder: Path, cache: Cache) -> None:
    first = read(folder, cache)
    (folder / "1.png").replace(folder / "0.png")
    (folder / "1_mask.png").replace(folder / "0_mask.png")
    assert read(folder, cache).size != first.size


def test_errors_are_those_of_the_files(folder: Path, cache: Cache) -> None:
    (folder / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.png: cannot be decoded"):
        read(folder, cache)
    (folder / "0.png").unlink()
    with pytest.raises(DataError, match=r"0\.png"):
        read(folder, cache)
    write(folder, 0, (90, 120))
    write(folder, 1, (90, 121))
    (folder / "1_mask.png").replace(folder / "0_mask.png")
    with pytest.raises(DataError, match=r"0_mask\.png: is 90 x 121"):
        read(folder, cache)


def test_workers_share_it(folder: Path, cache: Cache) -> None:
    def batches(workers: int) -> list[Any]:
        return list(plain_loader(records(folder), Fit((48, 64)), 2, KINDS, workers, cache=cache))

    for one, other in zip(batches(2), batches(0), strict=True):
        assert (one.images == other.images).all()
    assert len(list(cache.folder.iterdir())) == 2 * NUMBER - 1


def test_pictures_in_memory_are_not_kept(folder: Path, cache: Cache) -> None:
    own = replace(records(folder), masks=np.ones((NUMBER, 90, 120), dtype=np.uint8))
    sample = Copies(cache, Fit((48, 64))).read(own, 0, KINDS)
    assert sample.mask is not None
    assert (sample.mask == 1).all()
    assert len(list(cache.folder.iterdir())) == 1
