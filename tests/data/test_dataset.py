from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from visionkit.data.augmentation.augment import Augment
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Crop, Fit
from visionkit.data.pictures.files import ImageFiles, decode_image
from visionkit.data.pictures.jpeg import Jpeg
from visionkit.data.records import Records
from visionkit.data.sample import KINDS
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import Classes

AUGMENT = {
    "spatial": [{"HorizontalFlip": {"p": 0.5}}, {"Affine": {"rotate": [-20, 20], "p": 0.8}}],
    "pixel": [{"GaussNoise": {"p": 0.5}}],
}


def test_sample_is_a_function_of_seed_epoch_and_index(records: Records) -> None:
    one = Samples(records, Fit((24, 24)), KINDS, Augment(**AUGMENT), seed=3)
    keys = [(epoch, index) for epoch in range(3) for index in range(10)]
    first = {key: one[key] for key in keys}
    copy = pickle.loads(pickle.dumps(one))  # as a spawned worker gets it
    for key in reversed(keys):
        for a, b in zip(first[key], copy[key], strict=True):
            assert np.array_equal(a, b)
    assert len({first[key].image.tobytes() for key in keys}) == len(keys)
    other = Samples(records, Fit((24, 24)), KINDS, Augment(**AUGMENT), seed=4)
    assert not np.array_equal(other[0, 0].image, first[0, 0].image)


def test_what_is_drawn_again_is_augmented_in_another_way(records: Records) -> None:
    samples = Samples(records, Fit((24, 24)), KINDS, Augment(**AUGMENT), seed=3)
    keys = [(0, 4), (0, 4, 0, 1), (0, 4, 0, 2), (1, 4), (1, 4, 0, 1)]
    assert len({samples[key].image.tobytes() for key in keys}) == len(keys)
    assert np.array_equal(samples[0, 4, 0, 2].image, samples[0, 4, 0, 2].image)


def test_without_augmentation_the_epoch_does_not_matter(records: Records) -> None:
    samples = Samples(records, Fit((12, 16)), ("labels",))
    assert len(samples) == 10
    assert np.array_equal(samples[0, 4].image, samples[7, 4].image)
    assert np.array_equal(samples[0, 4].image, records.images[4])


def test_records_are_not_changed(records: Records) -> None:
    before = pickle.dumps([records.images, records.boxes, records.masks, records.instances])
    samples = Samples(records, Fit((12, 16)), KINDS, Augment(**AUGMENT))
    for index in range(10):
        samples[0, index]
    assert pickle.dumps([records.images, records.boxes, records.masks, records.instances]) == before


def test_missing_kinds_are_named(records: Records) -> None:
    with pytest.raises(ConfigError, match="'pose'; the kinds are labels"):
        Samples(records, Fit((8, 8)), ("pose",))
    without = Records(records.images, records.names, records.classes, labels=records.labels)
    with pytest.raises(ConfigError, match="needs masks, but these images have image labels;"):
        Samples(without, Fit((8, 8)), ("labels", "mask"))
    with pytest.raises(ConfigError, match="needs instances"):
        Samples(replace(records, instances=None), Fit((8, 8)), KINDS)


def photographs(folder: Path, shape: tuple[int, int], number: int = 3) -> Records:
    """JPEG files of smooth colours with a bright rectangle each, which is box, mask and instance."""
    boxes = []
    masks = np.zeros((number, *shape), dtype=np.uint8)
    for index in range(number):
        y, x = np.mgrid[0 : 200 : shape[0] * 1j, 0 : 150 : shape[1] * 1j]
        image = np.stack([y, x, y * 0 + 20 * index], axis=2).astype(np.uint8)
        top, left = shape[0] // 4 + 8 * index, shape[1] // 3
        image[top : top + shape[0] // 3, left : left + shape[1] // 4] = 255
        masks[index, top : top + shape[0] // 3, left : left + shape[1] // 4] = 1
        boxes.append((left, top, left + shape[1] // 4, top + shape[0] // 3))
        (folder / f"{index}.jpg").write_bytes(simplejpeg.encode_jpeg(image, 95, colorsubsampling="444"))
    names = [f"{index}.jpg" for index in range(number)]
    return Records(
        images=ImageFiles(folder, names),
        names=Strings(names),
        classes=Classes(labels=("a", "b"), mask=("none", "box"), boxes=("box",)),
        labels=np.arange(number) % 2,
        masks=masks,
        boxes=np.asarray(boxes, dtype=np.float32),
        box_label=np.zeros(number, dtype=np.int64),
        box_ignore=np.zeros(number, dtype=bool),
        box_start=np.arange(number + 1),
        instances=masks,
    )


CROP = {"crop": {"scale": [0.5, 1.0], "ratio": [0.8, 1.25]}, "mirror": 0.5}


@pytest.mark.parametrize("augment", [CROP, {}, {**CROP, "mosaic": 1.0}], ids=["crop", "fit", "mosaic"])
@pytest.mark.parametrize("shape", [(403, 530), (120, 90)])
def test_what_is_decoded_smaller_is_the_same_sample(
    tmp_path: Path, shape: tuple[int, int], augment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels are the same as those of the fully decoded image, pixels nearly, and the rectangle lies in its box."""
    records = photographs(tmp_path, shape)
    kinds = ("mask", "boxes", "instances")
    factors: list[int] = []
    decode = Jpeg.decode
    monkeypatch.setattr(Jpeg, "decode", lambda self, factor=1: factors.append(factor) or decode(self, factor))
    full = replace(records, images=np.stack([np.asarray(records.images[i]) for i in range(3)]))
    small, whole = (Samples(each, Fit((64, 96)), kinds, Augment(**augment)) for each in (records, full))
    for key in [(epoch, index) for epoch in range(4) for index in range(3)]:
        one, other = small[key], whole[key]
        assert one.boxes is not None
        assert other.boxes is not None
        assert one.mask is not None
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.mask, other.mask)  # type: ignore[arg-type]
        assert np.array_equal(one.instances, other.instances)  # type: ignore[arg-type]
        assert np.abs(one.image.astype(int) - other.image).mean() < 3
        bright = one.image.min(axis=2) > 190
        inside = one.mask == 1
        assert (bright != inside).mean() < 0.04
        if len(one.boxes) == 1:
            y, x = np.nonzero(inside)
            assert one.boxes[0] == pytest.approx([x.min(), y.min(), x.max() + 1, y.max() + 1], abs=1.01)
    assert (max(factors) > 1) == (shape[0] > 200 or "mosaic" in augment)


def test_evaluation_decodes_at_full_size(tmp_path: Path) -> None:
    records = photographs(tmp_path, (403, 530))
    sample = Samples(records, Fit((64, 96)), ("labels",))[0, 1]
    assert np.array_equal(sample.image, Fit((64, 96)).place(403, 530).image(decode_image(tmp_path / "1.jpg")))


def test_a_damaged_file_is_what_opencv_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jpeg, "decode", lambda *_: None)
    records = photographs(tmp_path, (403, 530))
    (tmp_path / "1.jpg").write_bytes(b"")
    samples = Samples(records, Fit((64, 96)), ("labels",), Augment())
    expected = Fit((64, 96)).place(403, 530).snapped(4).image(decode_image(tmp_path / "0.jpg"))
    assert np.array_equal(samples[0, 0].image, expected)
    with pytest.raises(DataError, match=r"1\.jpg: cannot be decoded"):
        samples[0, 1]


def test_boxes_of_a_crop_are_clipped_and_dropped() -> None:
    """A crop of the middle third across, and all of the height, of an image of 30 x 90 pixels."""
    boxes = [(0, 0, 30, 10), (20, 5, 40, 15), (0, 0, 31, 10), (28, 0, 48, 10), (40, 3, 41, 3.9), (50, 1, 90, 29)]
    number = len(boxes)
    records = Records(
        images=np.zeros((1, 30, 90, 3), dtype=np.uint8),
        names=Strings(["a"]),
        classes=Classes(boxes=("x",)),
        boxes=np.asarray(boxes, dtype=np.float32),
        box_label=np.arange(number),
        box_ignore=np.zeros(number, dtype=bool),
        box_start=np.asarray([0, number]),
    )
    augment = Augment(crop={"scale": [1, 1], "ratio": [1, 1]}, mirror=1)  # no window fits: the middle is taken
    sample = Samples(records, Crop((30, 30)), ("boxes",), augment)[0, 0]
    assert sample.boxes is not None
    assert sample.box_label is not None
    # the third has 1/31 of its area left; the fifth is a pixel wide but 0.9 high
    assert sample.box_label.tolist() == [1, 3, 5]
    assert sample.boxes.tolist() == [[20, 5, 30, 15], [12, 0, 30, 10], [0, 1, 10, 29]]


def test_multi_scale_is_drawn_for_each_batch(records: Records) -> None:
    samples = Samples(records, Fit((64, 96)), ("labels",), Augment(multi_scale=[0.5, 2.0]), seed=1)
    sizes = [samples[0, index, batch].image.shape[:2] for batch in range(30) for index in (0, 5)]
    assert sizes[::2] == sizes[1::2]
    assert len(set(sizes)) > 3
    assert {side % 32 for size in sizes for side in size} == {0}
    assert min(sizes) >= (32, 32)
    assert max(height for height, _ in sizes) <= 128
    assert [samples[1, 0, batch].image.shape[:2] for batch in range(30)] != sizes[::2]
