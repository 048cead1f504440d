from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from visionkit.data.records import Records
from visionkit.data.selection.class_map import apply_map
from visionkit.errors import ConfigError

ALONE = {"b": ["b"]}


def test_images_of_other_labels_are_left_out(records: Records) -> None:
    only = replace(records, multilabel=None)
    kept = apply_map(only, ALONE, ("labels",), None)
    assert list(kept.names) == ["1.png", "3.png", "5.png", "7.png", "9.png"]
    assert kept.labels is not None
    assert kept.labels.tolist() == [0] * 5
    assert kept.classes.labels == ("b",)
    assert kept.classes[1:] == records.classes[1:]


def test_order_names_and_merging_are_new(records: Records) -> None:
    swapped = apply_map(records, {"b": ["b"], "a": ["a"]}, ("labels",), None)
    assert swapped.labels is not None
    assert swapped.labels.tolist() == [1, 0] * 5
    merged = apply_map(records, {"any": ["b", "a"]}, ("labels",), None)
    assert merged.labels is not None
    assert merged.labels.tolist() == [0] * 10
    assert merged.classes.labels == ("any",)


def test_sets_of_labels_keep_their_images_and_are_joined_by_or(records: Records) -> None:
    sets = np.asarray([[0, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=np.uint8)
    some = replace(
        records.take(np.arange(4)),
        multilabel=sets,
        labels=None,
        classes=records.classes._replace(labels=("a", "b", "c")),
    )
    kept = apply_map(some, {"z": ["c"], "ab": ["b", "a"]}, ("multilabel",), None)
    assert kept.multilabel is not None
    assert kept.multilabel.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]]
    assert kept.multilabel.dtype == np.uint8
    assert kept.classes.labels == ("z", "ab")
    # Where they come beside labels, an image of another label stays, but without one.
    beside = apply_map(records, ALONE, ("multilabel",), None)
    assert len(beside) == 10
    assert beside.present[:, 0].tolist() == [False, True] * 5
    assert beside.present[:, 1].all()
    assert beside.multilabel is not None
    assert beside.multilabel.tolist() == [[0], [1]] * 5


def test_an_image_without_a_label_stays(records: Records) -> None:
    present = records.present.copy()
    present[0, 0] = False
    kept = apply_map(replace(records, present=present, multilabel=None), ALONE, ("labels",), None)
    assert list(kept.names)[:2] == ["0.png", "1.png"]
    assert kept.present[:, 0].tolist() == [False] + [True] * 5


def test_boxes_of_other_classes_go_and_instance_maps_follow(records: Records) -> None:
    # Boxes of image i: class i % 3, then class 2; so `y` is the first box of images 1, 4 and 7.
    kept = apply_map(records, {"thing": ["z"], "y": ["y"]}, ("boxes", "instances"), None)
    assert kept.classes.boxes == ("thing", "y")
    assert len(kept) == 10
    assert kept.box_label is not None
    assert kept.box_start is not None
    assert kept.boxes is not None
    assert kept.box_ignore is not None
    assert kept.instances is not None
    assert kept.box_start.tolist() == [0, 1, 3, 5, 5, 7, 9, 10, 12, 14, 15]
    expected = {0: [0], 1: [1, 0], 2: [0, 0], 3: []}
    for image in range(10):
        rows = slice(int(kept.box_start[image]), int(kept.box_start[image + 1]))
        assert kept.box_label[rows].tolist() == ([] if image == 3 else expected[image % 3])
        instances = np.asarray(kept.instances[image])
        # The map marks what the box holds: its k-th box is filled with k + 1.
        filled = np.zeros_like(instances)
        for count, (x1, y1, x2, y2) in enumerate(kept.boxes[rows].astype(int).tolist(), start=1):
            filled[y1:y2, x1:x2] = count
        assert (instances == filled).all()
    assert records.box_label is not None
    assert records.box_ignore is not None
    assert (kept.box_ignore == records.box_ignore[records.box_label > 0]).all()


def test_mask_pixels_of_other_classes_are_void_or_background(records: Records) -> None:
    masks = np.zeros((10, 2, 2), dtype=np.uint8)
    masks[:] = [[0, 1], [2, 255]]
    three = replace(records, masks=masks, classes=records.classes._replace(mask=("ground", "car", "dog")))
    void = apply_map(three, {"dog": ["dog"], "car": ["car"]}, ("mask",), None)
    assert void.masks is not None
    assert np.asarray(void.masks[3]).tolist() == [[255, 1], [0, 255]]
    assert void.classes.mask == ("dog", "car")
    back = apply_map(three, {"dog": ["dog"], "rest": ["ground"]}, ("mask",), 1)
    assert back.masks is not None
    assert np.asarray(back.masks[0]).tolist() == [[1, 1], [0, 255]]
    with pytest.raises(ConfigError, match=r"data.background=2 is none of the 2 classes"):
        apply_map(three, {"dog": ["dog"], "rest": ["ground"]}, ("mask",), 2)
    assert np.asarray(three.masks)[0].tolist() == [[0, 1], [2, 255]]


def test_without_a_task_the_names_say_what_is_meant(records: Records) -> None:
    kept = apply_map(records, {"x": ["x"]}, (), None)
    assert kept.classes.boxes == ("x",)
    assert kept.classes.labels == records.classes.labels
    assert len(kept) == 10


def test_unknown_classes_are_named(records: Records) -> None:
    with pytest.raises(ConfigError, match=r"no class 'grund'; did you mean 'ground'\? the classes are ground, thing"):
        apply_map(records, {"a": ["grund"]}, ("mask",), None)
    with pytest.raises(ConfigError, match=r"no class 'a'; the classes are x, y, z"):
        apply_map(records, {"a": ["a"]}, ("boxes",), None)
    with pytest.raises(ConfigError, match=r"no class 'q'; the classes are x, y, z"):
        apply_map(records, {"x": ["x", "y", "q"]}, (), None)
    assert apply_map(
        replace(records, masks=None, classes=records.classes._replace(mask=None)), {"a": ["?"]}, ("mask",), 0
    )
