from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from visionkit.data.augment import Augment
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Fit
from visionkit.data.records import Records
from visionkit.data.sample import KINDS
from visionkit.errors import ConfigError

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
    keys = [(0, 4), (0, 4, 1), (0, 4, 2), (1, 4), (1, 4, 1)]
    assert len({samples[key].image.tobytes() for key in keys}) == len(keys)
    assert np.array_equal(samples[0, 4, 2].image, samples[0, 4, 2].image)


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
