from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from visionkit.data.augmentation import mixing
from visionkit.data.augmentation.augment import Augment
from visionkit.data.collate import Collate
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Fit
from visionkit.data.records import Records
from visionkit.data.sample import Sample
from visionkit.types import LABEL_KINDS

DENSE = ("mask", "boxes", "instances")


def plain(value: int, size: tuple[int, int], **fields: Any) -> Sample:
    return Sample(np.full((*size, 3), value, dtype=np.uint8), value, size, np.ones(len(LABEL_KINDS), bool), **fields)


def boxed(value: int, size: tuple[int, int], instance: int) -> Sample:
    """One box of 2 x 1 pixels at (1, 0), marked in mask and map."""
    mask, instances = np.zeros((2, *size), dtype=np.uint8)
    mask[0, 1:3] = value
    instances[0, 1:3] = instance
    return plain(
        value,
        size,
        mask=mask,
        boxes=np.asarray([[1, 0, 3, 1]], dtype=np.float32),
        box_label=np.asarray([value]),
        box_ignore=np.asarray([value % 2 == 1]),
        box_value=np.asarray([instance]),
        instances=instances,
    )


def test_quarters_tile_the_picture() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        places = mixing.quarters(rng, (40, 60))
        covered = np.zeros((40, 60), dtype=int)
        for top, left, height, width in places:
            covered[top : top + height, left : left + width] += 1
        assert (covered == 1).all()
        assert 12 <= places[0][2] <= 28
        assert 18 <= places[0][3] <= 42
    assert mixing.quarters(rng, (2, 2)) == [(0, 0, 1, 1), (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 1, 1)]


def test_a_mosaic_by_hand() -> None:
    places = [(0, 0, 2, 4), (0, 4, 2, 6), (2, 0, 3, 4), (2, 4, 3, 6)]
    made = mixing.mosaic([boxed(10 + k, place[2:], k % 2 + 1) for k, place in enumerate(places)], places)
    expected = np.repeat(np.repeat([[10, 11], [12, 13]], [4, 6], axis=1), [2, 3], axis=0)
    assert np.array_equal(made.image[..., 0], expected)
    assert made.boxes is not None
    assert made.mask is not None
    assert made.instances is not None
    assert made.box_value is not None
    assert made.boxes.tolist() == [[1, 0, 3, 1], [5, 0, 7, 1], [1, 2, 3, 3], [5, 2, 7, 3]]
    assert made.box_label.tolist() == [10, 11, 12, 13]  # type: ignore[union-attr]
    assert made.box_ignore.tolist() == [False, True, False, True]  # type: ignore[union-attr]
    assert len(set(made.box_value.tolist())) == 4
    for number, (x1, y1, x2, y2) in enumerate(made.boxes.astype(int).tolist()):
        own = made.instances == made.box_value[number]
        assert own[y1:y2, x1:x2].all()
        assert own.sum() == 2
        assert (made.mask[y1:y2, x1:x2] == 10 + number).all()
    assert np.count_nonzero(made.mask) == np.count_nonzero(made.instances) == 8
    assert made.id == 10


def test_a_mosaic_of_many_instances() -> None:
    """Numbers of more than 255 instances find room, and those of boxes that are gone mark nothing."""
    places = [(0, 0, 1, 200), (0, 200, 1, 200), (1, 0, 1, 200), (1, 200, 1, 200)]
    row = np.arange(1, 201)
    parts = []
    for k in range(4):
        keep = row[row % 2 == 0]
        parts.append(
            plain(
                k,
                (1, 200),
                boxes=np.stack([keep - 1, keep * 0, keep, keep * 0 + 1], axis=1).astype(np.float32),
                box_label=keep,
                box_ignore=keep < 0,
                box_value=keep,
                instances=row[None].astype(np.uint8),
            )
        )
    made = mixing.mosaic(parts, places)
    assert made.instances is not None
    assert made.box_value is not None
    assert len(set(made.box_value.tolist())) == len(made.box_value) == 400
    assert set(np.unique(made.instances)) == {0, *made.box_value.tolist()}
    for box, value in zip(made.boxes.astype(int).tolist(), made.box_value.tolist(), strict=True):  # type: ignore[union-attr]
        assert made.instances[box[1], box[0]] == value


def test_mixup_by_hand() -> None:
    one = plain(200, (2, 3), label=1, multilabel=np.asarray([1, 0, 1], dtype=np.uint8))
    other = plain(100, (2, 3), label=4, multilabel=np.asarray([0, 0, 1], dtype=np.uint8))
    made = mixing.mixup(one, other, 0.25)
    assert (made.image == 175).all()
    assert (made.label, made.mixed_label, made.mix) == (1, 4, 0.25)
    assert made.multilabel is not None
    assert made.multilabel.tolist() == [0.75, 0, 1]


def test_cutmix_counts_its_pixels() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        made = mixing.cutmix(rng, plain(200, (20, 30), label=1), plain(100, (20, 30), label=4), 0.25)
        inside = made.image[..., 0] == 100
        assert made.mix == pytest.approx(inside.mean())
        assert made.mixed_label == 4
        y, x = np.nonzero(inside)
        assert inside[y.min() : y.max() + 1, x.min() : x.max() + 1].all()
        shares.append(made.mix)
        assert inside.any(axis=1).sum() <= 11
        assert inside.any(axis=0).sum() <= 16
    assert max(shares) == pytest.approx(0.25, abs=0.03)
    assert min(shares) < 0.15


def test_mixed_batches(records: Records) -> None:
    """Lambda as drawn, the partner's label with it; without a partner the own label with the share 0."""
    samples = Samples(records, Fit((12, 16)), ("labels", "multilabel"), Augment(mixup=0.5), seed=1)
    made = [samples[epoch, index] for epoch in range(60) for index in range(10)]
    assert all(equal(a, b) for a, b in zip(made, [samples[e, i] for e in range(60) for i in range(10)], strict=True))
    mixed = [sample for sample in made if sample.mix > 0]
    assert 0.4 < len(mixed) / len(made) < 0.6
    assert {(sample.mixed_label, sample.label) for sample in mixed} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    # Beta(0.2, 0.2) has its mean at 1/2 and a variance of 1 / (4 * 1.4)
    shares = np.asarray([sample.mix for sample in mixed])
    assert shares.mean() == pytest.approx(0.5, abs=0.08)
    assert shares.var() == pytest.approx(0.25 / 1.4, abs=0.03)
    batch = Collate()(made[:8])
    assert batch.targets.mix is not None
    assert batch.targets.mixed_labels is not None
    assert batch.targets.multilabel is not None
    assert batch.targets.mix.tolist() == pytest.approx([sample.mix for sample in made[:8]])
    for number, sample in enumerate(made[:8]):
        expected = np.zeros(2)
        expected[sample.label] += 1 - sample.mix
        expected[sample.mixed_label] += sample.mix
        assert batch.targets.multilabel[number].tolist() == pytest.approx(expected.tolist())


def equal(one: Sample, other: Sample) -> bool:
    return one.mix == other.mix and np.array_equal(one.image, other.image)


def test_what_does_not_apply_is_left_out(records: Records) -> None:
    everything = Augment(mosaic=1.0, mixup=0.5, cutmix=0.5)
    nothing = Augment()
    dense = Samples(records, Fit((12, 16)), DENSE, everything)[0, 0]
    classes = Samples(records, Fit((12, 16)), ("labels",), everything)[0, 0]
    both = Samples(records, Fit((12, 16)), ("labels", "boxes"), everything)[0, 0]
    assert (dense.mixed_label, dense.mix) == (None, 0)
    assert classes.mixed_label is not None
    assert not np.array_equal(dense.image, records.images[0])
    assert np.array_equal(both.image, Samples(records, Fit((12, 16)), ("labels", "boxes"), nothing)[0, 0].image)
    assert both.mixed_label is None


def test_samples_without_labels_join_nothing(records: Records) -> None:
    present = records.present.copy()
    present[:9] = False
    present[4] = True
    few = replace(records, present=present)
    mosaics = Samples(few, Fit((12, 16)), DENSE, Augment(mosaic=1.0))
    assert np.array_equal(mosaics[0, 0].image, records.images[0])
    numbers = {int(mosaics[epoch, 4].image[0, 0, 0]) for epoch in range(3)}
    assert numbers != {4}
    mixes = Samples(few, Fit((12, 16)), ("labels",), Augment(cutmix=1.0))
    assert mixes[0, 0].mix == 0
    assert all({mixes[epoch, 9].mixed_label} <= {0, 1} for epoch in range(5))
    seen = np.concatenate([mixes[epoch, 9].image.reshape(-1, 3) for epoch in range(5)])
    known = {tuple(pixel) for index in (4, 9) for pixel in np.asarray(records.images)[index].reshape(-1, 3).tolist()}
    assert {tuple(pixel) for pixel in seen.tolist()} <= known


def test_a_mosaic_in_training_keeps_boxes_on_their_instances(records: Records) -> None:
    samples = Samples(records, Fit((64, 96)), DENSE, Augment(mosaic=1.0, mirror=0.5))
    counts = set()
    for index in range(10):
        sample = samples[0, index]
        assert sample.boxes is not None
        assert sample.box_value is not None
        for box, value in zip(sample.boxes, sample.box_value.tolist(), strict=True):
            y, x = np.nonzero(sample.instances == value)
            assert box == pytest.approx([x.min(), y.min(), x.max() + 1, y.max() + 1], abs=1.01)
        counts.add(len(sample.boxes))
    assert max(counts) == 8
