from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from visionkit.data.augmentation.augment import Augment
from visionkit.data.records import Records
from visionkit.data.sample import Sample, read_sample
from visionkit.errors import ConfigError
from visionkit.types import LABEL_KINDS

H, V = {"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}}
HALF_OFF = {"Affine": {"translate_px": {"x": 8, "y": 0}, "p": 1.0}}  # 16 pixels wide: the right half leaves


def bare(image: np.ndarray, **fields: Any) -> Sample:
    return Sample(image, 0, image.shape[:2], np.ones(len(LABEL_KINDS), dtype=bool), **fields)


def corner_image() -> np.ndarray:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[0, 0] = 255
    return image


def flips(augment: Augment, epoch: int, index: int) -> tuple[bool, bool]:
    """Whether the sample was flipped left-right and up-down."""
    augment.begin(7, epoch, index)
    y, x = np.argwhere(augment.spatial(bare(corner_image())).image[..., 0])[0]
    return bool(x), bool(y)


@pytest.mark.parametrize(
    "spatial",
    [
        [H, V],
        [{"Sequential": {"transforms": [{"Sequential": {"transforms": [H, V], "p": 1.0}}], "p": 1.0}}],
        [{"OneOf": {"transforms": [H], "p": 1.0}}, {"OneOf": {"transforms": [V], "p": 1.0}}],
    ],
    ids=["plain", "nested", "one_of"],
)
def test_flips_are_independent(spatial: list[Any]) -> None:
    if "OneOf" in spatial[0]:  # a single choice of OneOf is always applied: halve the groups' own probability
        spatial = [{"OneOf": {**entry["OneOf"], "p": 0.5}} for entry in spatial]
    augment = Augment(spatial)
    counts = Counter(flips(augment, 0, index) for index in range(800))
    for both in [(False, False), (False, True), (True, False), (True, True)]:
        assert 150 < counts[both] < 250, counts  # 200 expected, standard deviation 12


def test_one_of_picks_evenly_and_independently_of_the_next() -> None:
    augment = Augment(
        [{"OneOf": {"transforms": [{"HorizontalFlip": {"p": 1}}, {"VerticalFlip": {"p": 1}}], "p": 1}}, H]
    )
    counts = Counter(flips(augment, 0, index) for index in range(800))
    # left-right or up-down with 1/2 each, then another left-right with 1/2
    assert all(150 < counts[both] < 250 for both in [(True, False), (False, False), (False, True), (True, True)]), (
        counts
    )


def test_consecutive_epochs_and_indices_are_independent() -> None:
    augment = Augment([H])
    epochs = np.asarray([[flips(augment, epoch, index)[0] for index in range(200)] for epoch in range(4)], dtype=float)
    assert np.abs(np.corrcoef(epochs) - np.eye(4)).max() < 0.25
    assert 0.4 < epochs.mean() < 0.6


def test_a_sample_depends_on_seed_epoch_and_index_only(records: Records) -> None:
    spatial = [H, {"Affine": {"rotate": [-20, 20], "scale": [0.7, 1.3], "p": 1.0}}]
    pixel = [{"RandomBrightnessContrast": {"p": 1.0}}, {"GaussNoise": {"p": 0.5}}]

    def make(augment: Augment, seed: int, epoch: int, index: int) -> bytes:
        augment.begin(seed, epoch, index)
        return augment.pixel(augment.spatial(read_sample(records, index, LABEL_KINDS))).image.tobytes()

    one, other = Augment(spatial, pixel), Augment(spatial, pixel)
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2**40, 3, 5)]
    forwards = [make(one, *key) for key in keys]
    np.random.seed(3)  # noqa: NPY002  the global stream must not matter
    assert [make(other, *key) for key in reversed(keys)] == forwards[::-1]
    assert len(set(forwards)) == len(keys)


def test_everything_moves_together(records: Records) -> None:
    augment = Augment([{"HorizontalFlip": {"p": 1.0}}])
    sample = read_sample(records, 0, LABEL_KINDS)
    for instances in (sample.instances, None):  # boxes measured, boxes mapped
        augment.begin(0, 0, 0)
        moved = augment.spatial(sample._replace(instances=instances))
        assert moved.boxes is not None
        assert moved.mask is not None
        assert np.array_equal(moved.image, sample.image[:, ::-1])
        assert np.array_equal(moved.mask, sample.mask[:, ::-1])  # type: ignore[index]
        assert moved.boxes == pytest.approx(np.asarray([[11, 2, 15, 6], [2, 3, 8, 11]]), abs=1e-4)
        assert moved.box_label is not None
        assert moved.box_label.tolist() == [0, 2]


@pytest.mark.parametrize("with_map", [True, False])
def test_boxes_are_clipped_and_dropped(records: Records, with_map: bool) -> None:
    sample = read_sample(records, 4, LABEL_KINDS)  # boxes 1..5 and 8..14: the second leaves altogether
    sample = sample.keep_boxes(np.asarray([1, 0]))  # and is the first in the list
    sample = sample if with_map else sample._replace(instances=None)
    augment = Augment([HALF_OFF])
    augment.begin(0, 0, 4)
    moved = augment.spatial(sample)
    assert moved.boxes is not None
    assert moved.box_value is not None
    assert moved.box_label is not None
    assert moved.boxes == pytest.approx(np.asarray([[9, 2, 13, 6]]), abs=1e-4)
    assert moved.box_value.tolist() == [1]
    assert moved.box_label.tolist() == [1]


@pytest.mark.parametrize("with_map", [True, False])
@pytest.mark.parametrize(("left", "kept"), [(1, False), (2, True)])
def test_visibility_is_a_tenth(with_map: bool, left: int, kept: bool) -> None:
    """Of a box 12 pixels wide, one stays visible (8 %, dropped) or two (17 %, kept)."""
    instances = np.zeros((10, 20), dtype=np.uint8)
    instances[2:6, 1:13] = 1
    sample = bare(
        np.zeros((10, 20, 3), dtype=np.uint8),
        boxes=np.asarray([[1, 2, 13, 6]], dtype=np.float32),
        box_label=np.zeros(1, dtype=np.int64),
        box_ignore=np.zeros(1, dtype=bool),
        box_value=np.ones(1, dtype=np.int64),
        instances=instances if with_map else None,
    )
    augment = Augment([{"Affine": {"translate_px": {"x": 20 - 1 - left, "y": 0}, "p": 1.0}}])
    augment.begin(0, 0, 0)
    boxes = augment.spatial(sample).boxes
    assert boxes is not None
    assert boxes == pytest.approx(np.asarray([[20 - left, 2, 20, 6]] if kept else np.zeros((0, 4))), abs=1e-4)


def test_masks_are_filled_with_void_and_maps_with_nothing(records: Records) -> None:
    augment = Augment([HALF_OFF])
    augment.begin(0, 0, 0)
    moved = augment.spatial(read_sample(records, 0, LABEL_KINDS))
    assert moved.mask is not None
    assert moved.instances is not None
    assert (moved.mask[:, :8] == 255).all()
    assert (moved.mask[:, 8:] <= 1).all()
    assert (moved.instances[:, :8] == 0).all()
    assert set(np.unique(moved.instances)) == {0, 1}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_instance_255_survives_the_fill(dtype: Any) -> None:
    values = [254, 255] if dtype == np.uint8 else [254, 255, 256, 300]
    instances = np.zeros((8, 16), dtype=dtype)
    for column, value in enumerate(values):
        instances[2:4, column : column + 1] = value
    number = len(values)
    sample = bare(
        np.zeros((8, 16, 3), dtype=np.uint8),
        boxes=np.asarray([[c, 2, c + 1, 4] for c in range(number)], dtype=np.float32),
        box_label=np.arange(number),
        box_ignore=np.zeros(number, dtype=bool),
        box_value=np.asarray(values),
        instances=instances,
    )
    augment = Augment([HALF_OFF])
    augment.begin(0, 0, 0)
    moved = augment.spatial(sample)
    assert moved.instances is not None
    assert moved.boxes is not None
    assert sorted(np.unique(moved.instances)) == [0, *values]
    assert moved.boxes.tolist() == [[c + 8, 2, c + 9, 4] for c in range(number)]


def test_boxes_under_a_pixel_go_at_the_networks_size() -> None:
    sample = bare(
        np.zeros((8, 8, 3), dtype=np.uint8),
        boxes=np.asarray([[0, 0, 0.9, 5], [0, 0, 1, 1], [3, 3, 5, 3.5]], dtype=np.float32),
        box_label=np.arange(3),
        box_ignore=np.zeros(3, dtype=bool),
        box_value=np.arange(1, 4),
    )
    kept = Augment().pixel(sample)
    assert kept.box_label is not None
    assert kept.box_label.tolist() == [1]


def test_no_boxes_are_no_problem(records: Records) -> None:
    augment = Augment([H, HALF_OFF])
    for sample in (read_sample(records, 3, LABEL_KINDS), read_sample(records, 3, LABEL_KINDS)._replace(instances=None)):
        augment.begin(0, 0, 3)
        moved = augment.spatial(sample)
        assert moved.boxes is not None
        assert moved.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("spatial", "pixel", "message"),
    [
        ([{"HorizontlFlip": {}}], [], r"augment\.spatial: .*'HorizontlFlip'; did you mean 'HorizontalFlip'\?"),
        ([{"horizontalflip": {}}], [], r"did you mean 'HorizontalFlip'\?"),
        ([{"Affine": {"rotat": 3}}], [], r"augment\.spatial\.Affine: has no argument 'rotat'; did you mean 'rotate'"),
        ([{"Affine": {"scale": "x"}}], [], r"augment\.spatial\.Affine: refuses"),
        ([{"ColorJitter": None}], [], r"augment\.spatial\.ColorJitter: .*augment\.pixel"),
        ([], [{"HorizontalFlip": {}}], r"augment\.pixel\.HorizontalFlip: .*augment\.spatial"),
        (
            [{"OneOf": {"transforms": [{"VerticalFlp": {}}]}}],
            [],
            r"augment\.spatial\.OneOf\.transforms: .*VerticalFlip",
        ),
        ([{"OneOf": {"p": 1}}], [], "needs `transforms`"),
        (["HorizontalFlip"], [], "is no transform; write it as"),
        ([{"HorizontalFlip": 0.5}], [], "are no arguments"),
        ([{"CubicSymmetry": None}], [], "cannot transform images and masks and boxes"),
    ],
)
def test_wrong_entries_are_refused(spatial: list[Any], pixel: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Augment(spatial, pixel)


def test_no_look_for_updates() -> None:
    code = "import os, visionkit.data.augmentation.augment; print(os.environ['NO_ALBUMENTATIONS_UPDATE'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_mapped_boxes_stay_on_what_is_drawn() -> None:
    """Boxes without an instance map follow crops and affine maps to the pixel."""
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    image[20:40, 30:60] = 255
    sample = bare(
        image,
        boxes=np.asarray([[30, 20, 60, 40]], dtype=np.float32),
        box_label=np.zeros(1, dtype=np.int64),
        box_ignore=np.zeros(1, dtype=bool),
        box_value=np.ones(1, dtype=np.int64),
    )
    augment = Augment(
        [H, {"CropAndPad": {"percent": [-0.2, 0.0], "keep_size": False, "p": 1.0}}, {"Affine": {"scale": [0.8, 1.1]}}]
    )
    shapes = set()
    for index in range(40):
        augment.begin(0, 0, index)
        moved = augment.spatial(sample)
        assert moved.boxes is not None
        y, x = np.nonzero(moved.image[..., 0] > 127)
        assert moved.boxes[0] == pytest.approx([x.min(), y.min(), x.max() + 1, y.max() + 1], abs=1.01)
        shapes.add(moved.image.shape)
    assert len(shapes) > 20


@pytest.mark.parametrize(
    ("entry", "channels", "said"),
    [
        ({"ToRGB": {"p": 0.001}}, 1, r"ToRGB: cannot change images of 1 channels \(makes \(32, 32, 3\)"),
        ({"OneOf": {"transforms": [{"Blur": {}}, {"ToGray": {}}]}}, 5, r"ToGray: cannot change images of 5 channels"),
    ],
)
def test_what_needs_colours_is_named_before_a_worker_fails(entry: dict[str, Any], channels: int, said: str) -> None:
    Augment(pixel=[entry]).check(3)
    with pytest.raises(ConfigError, match=rf"augment\.pixel\.{said}"):
        Augment(pixel=[entry]).check(channels)


def test_affine_and_brightness_take_any_number_of_channels() -> None:
    affine = {"Affine": {"translate_px": {"x": 8, "y": 0}, "fill": 114, "p": 1.0}}
    for channels in (1, 2, 5, 9):
        Augment([H, affine], [{"RandomBrightnessContrast": {"p": 1.0}}]).check(channels)
    filled = Augment([affine])
    filled.begin(0, 0, 0)
    made = filled.spatial(bare(np.zeros((4, 16, 6), dtype=np.uint8))).image
    assert (made[:, :8] == 114).all()
