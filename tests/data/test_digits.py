from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from visionkit.data.embedded import paintings
from visionkit.data.embedded.digits import NAMES, Digits
from visionkit.data.embedded.glyphs import FACTOR, SOFTNESS, draw_glyph, glyphs_of
from visionkit.data.embedded.scenes import MAIN_RATIO, MIN_HEIGHT, paint
from visionkit.data.records import Records
from visionkit.errors import ConfigError, DataError
from visionkit.types import LABEL_KINDS


@pytest.fixture(scope="module")
def train() -> Records:
    return Digits(num_scenes=150).read("train")


def rows(records: Records, index: int) -> slice:
    assert records.box_start is not None
    return slice(int(records.box_start[index]), int(records.box_start[index + 1]))


def area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def test_glyphs_are_divided_before_composing() -> None:
    sources = {split: set(glyphs_of(split).source.tolist()) for split in ("train", "val", "test")}
    assert sum(len(source) for source in sources.values()) == len(set().union(*sources.values())) == 1797
    target = load_digits().target
    for split, share in {"train": 0.7, "val": 0.15, "test": 0.15}.items():
        glyphs = glyphs_of(split)
        assert np.array_equal(glyphs.digit, target[glyphs.source])
        assert np.bincount(glyphs.digit) / np.bincount(target) == pytest.approx(np.full(10, share), abs=0.01)


def test_glyph_box_is_where_the_ink_is() -> None:
    glyphs = glyphs_of("val")
    x1, y1, x2, y2 = glyphs.box[0].astype(int)
    outside = glyphs.ink[0].copy()
    outside[y1:y2, x1:x2] = 0
    assert outside.max() < 128
    assert y2 - y1 > 6 * FACTOR  # the digits fill their 8 rows


@pytest.mark.parametrize("height", [14.0, 25.0, 40.0])
def test_drawn_glyph_has_the_height_asked_for(height: float) -> None:
    glyphs = glyphs_of("val")
    for index in range(0, 100, 9):
        soft = SOFTNESS[draw_glyph(glyphs.ink[index], glyphs.box[index], height, 1.0, 0.0)]
        assert abs(soft.shape[0] - height) <= max(2.0, 0.1 * height)
        stroke = soft >= 0.5
        assert stroke[[0, -1]].any(axis=1).all()
        assert stroke[:, [0, -1]].any(axis=0).all()
        assert soft.min() >= 0
        assert soft.max() <= 1


def test_a_scene_carries_every_label_and_they_agree(train: Records) -> None:
    assert train.kinds == LABEL_KINDS
    assert train.classes.labels == train.classes.boxes == NAMES
    assert train.classes.mask == ("background", *NAMES)
    assert train.boxes is not None
    assert train.box_label is not None
    assert train.labels is not None
    assert train.multilabel is not None
    assert train.masks is not None
    assert train.instances is not None
    for index in range(len(train)):
        boxes, digits = train.boxes[rows(train, index)], train.box_label[rows(train, index)]
        mask, instances = train.masks[index], train.instances[index]
        assert 1 <= len(boxes) <= 3
        assert instances.max() == len(boxes)
        for number, (box, digit) in enumerate(zip(boxes, digits, strict=True), start=1):
            y, x = np.nonzero(instances == number)
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]  # tight, and inside the picture
            assert (mask[y, x] == digit + 1).all()
            near = cv2.dilate((instances == number).astype(np.uint8), np.ones((5, 5), dtype=np.uint8))
            assert set(instances[near > 0].tolist()) == {0, number}  # two pixels away from all others
        assert np.array_equal(mask > 0, instances > 0)
        areas = area(boxes)
        assert train.labels[index] == digits[np.argmax(areas)]
        assert len(areas) == 1 or areas.max() >= MAIN_RATIO * np.sort(areas)[-2]
        assert np.flatnonzero(train.multilabel[index]).tolist() == sorted(set(digits.tolist()))


def test_digits_can_be_seen(train: Records) -> None:
    """Each differs from what surrounds it, none is tiny, and lighter and darker ones both occur."""
    assert train.boxes is not None
    heights = train.boxes[:, 3] - train.boxes[:, 1]
    assert heights.min() >= MIN_HEIGHT - 2
    signs = []
    for index in range(len(train)):
        grey = np.asarray(train.images[index]).mean(axis=2)
        for number, box in enumerate(train.boxes[rows(train, index)].astype(int), start=1):
            x1, y1, x2, y2 = box
            stroke = np.asarray(train.instances)[index, y1:y2, x1:x2] == number
            behind = np.asarray(train.masks)[index, y1:y2, x1:x2] == 0
            signs.append(grey[y1:y2, x1:x2][stroke].mean() - grey[y1:y2, x1:x2][behind].mean())
    assert np.percentile(np.abs(signs), 5) > 25
    assert 0.3 < np.mean(np.asarray(signs) > 0) < 0.7


def test_data_are_a_function_of_the_seed(train: Records) -> None:
    again = Digits(num_scenes=20).read("train")
    assert np.array_equal(np.asarray(again.images), np.asarray(train.images)[:20])  # nor do they depend on how many
    other = Digits(num_scenes=20, seed=1).read("train")
    assert not np.array_equal(np.asarray(other.images), np.asarray(again.images))


def test_scenes_stay_what_they_are() -> None:
    """Published figures were measured on them."""
    val = Digits(num_scenes=10).read("val")
    assert val.boxes is not None
    assert val.boxes.tolist() == [[2, 21, 31, 62], [49, 8, 62, 35], [14, 22, 36, 58], [50, 37, 63, 61], [35, 1, 52, 25]]
    assert val.box_label is not None
    assert val.box_label.tolist() == [7, 3, 9, 1, 4]
    for index, mean in enumerate([[46.2, 71.4, 72.9], [126.7, 96.0, 110.7]]):
        assert np.mean(val.images[index], axis=(0, 1)) == pytest.approx(mean, abs=0.3)


def test_a_picture_is_the_same_whenever_it_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    eager = np.asarray(Digits(num_scenes=12).read("train").images)
    assert eager.shape == (12, 64, 64, 3)
    images = Digits(num_scenes=12).read("train").images
    painted = []
    monkeypatch.setattr(paintings, "paint", lambda scene: painted.append(scene) or paint(scene))
    for index in (7, -1, 0, 7):
        assert np.array_equal(images[index], eager[index])
    assert len(painted) == 3  # once each, and no others
    assert np.array_equal(paint(painted[0]), eager[7])  # painting takes nothing away
    copied = pickle.loads(pickle.dumps(images))  # as for a loader's worker that is spawned
    assert np.array_equal(np.asarray(copied), eager)
    assert np.array_equal(np.asarray(images), eager)
    assert len(painted) == 3 + 9 + 9
    with pytest.raises(IndexError):
        images[12]


def test_splits_sizes_and_numbers() -> None:
    reader = Digits(num_scenes=50, size=[48, 96], digits_per_scene=[2, 4], seed=3)
    assert reader.splits() == ("train", "val", "test")
    val, test = reader.read("val"), reader.read("test")
    assert len(val) == len(test) == 10
    assert np.asarray(val.images).shape == (10, 48, 96, 3)
    assert not np.array_equal(np.asarray(val.images), np.asarray(test.images))
    assert val.box_start is not None
    assert set(np.diff(val.box_start).tolist()) <= {2, 3, 4}
    assert len(set(val.names)) == 10


def test_the_class_is_not_given_away(train: Records) -> None:
    """The commonest class is no good guess."""
    assert train.labels is not None
    assert np.bincount(train.labels, minlength=10).max() < 0.25 * len(train)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"digits_per_scene=\[3, 2\]"):
        Digits(digits_per_scene=[3, 2])
    with pytest.raises(ConfigError, match="num_scenes=2"):
        Digits(num_scenes=2)
    with pytest.raises(ConfigError, match="size=16"):
        Digits(size=16)
    with pytest.raises(ConfigError, match="find no room"):
        Digits(num_scenes=5, digits_per_scene=[30, 40]).read("train")
    with pytest.raises(DataError, match="no split 'valid'"):
        Digits().read("valid")


def test_constructor_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(split: str) -> None:
        raise AssertionError(split)

    monkeypatch.setattr("visionkit.data.embedded.digits.glyphs_of", fail)
    Digits(num_scenes=10**9)


def test_with_one_kind_of_labels_a_training_scene_kinds_take_turns_and_nothing_else_changes(train: Records) -> None:
    reader = Digits(num_scenes=150, labels="one")
    some = reader.read("train")
    of_image = [LABEL_KINDS.index(kind) for kind in ("labels", "multilabel")]
    image, mask, boxes = some.present[:, of_image], some.present[:, 2], some.present[:, 3]
    assert [np.flatnonzero(each)[:2].tolist() for each in (image.all(1), mask, boxes)] == [[0, 3], [1, 4], [2, 5]]
    assert np.array_equal(image[:, 0], image[:, 1])
    assert (image[:, 0].astype(int) + mask + boxes == 1).all()
    assert np.array_equal(some.images[4], train.images[4])
    assert np.array_equal(some.labels, train.labels)
    assert reader.read("val").present.all()
    assert reader.read("test").present.all()
    with pytest.raises(ConfigError, match="labels=two is unknown; give all or one"):
        Digits(labels="two")
