from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.pictures.files import ImageFiles
from visionkit.data.pixels import in_memory, join, origin, path_of, take
from visionkit.data.records import Records, joined


def test_pictures_are_chosen_and_joined_and_know_where_they_come_from() -> None:
    arrays = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)
    files = ImageFiles("/data", ["a.jpg", "b.jpg", "c.jpg"])
    both = join([take(arrays, np.asarray([4, 1])), take(files, np.asarray([2, 0]))])
    chosen = take(both, np.asarray([3, 2, 1, 0]))
    assert len(chosen) == 4
    assert np.array_equal(chosen[3], arrays[4])
    assert np.array_equal(chosen[2], arrays[1])
    assert [path_of(chosen, index) for index in range(4)] == [Path("/data/a.jpg"), Path("/data/c.jpg"), None, None]
    assert origin(chosen, 0) == (files, 0)
    assert in_memory(arrays)
    assert in_memory(take(arrays, np.asarray([1])))
    assert not in_memory(chosen)


def test_records_are_chosen_with_their_boxes(records: Records) -> None:
    part = records.take(np.asarray([5, 3, 0]))
    assert list(part.names) == ["5.png", "3.png", "0.png"]
    assert part.box_start is not None
    assert part.box_label is not None
    assert records.box_label is not None
    assert part.box_start.tolist() == [0, 2, 2, 4]
    assert part.box_label.tolist() == [*records.box_label[8:10], *records.box_label[0:2]]
    assert [int(part.images[index][0, 0, 0]) for index in range(3)] == [5, 3, 0]
    assert part.labels is not None
    assert part.labels.tolist() == [1, 1, 0]


def test_parts_are_joined_to_the_whole(records: Records) -> None:
    order = np.asarray([7, 1, 3, 2, 9])
    whole, again = records.take(order), joined([records.take(order[:2]), records.take(order[2:])])
    for name in ("boxes", "box_label", "box_ignore", "box_start", "labels", "multilabel", "present"):
        assert np.array_equal(getattr(whole, name), getattr(again, name)), name
    assert list(whole.names) == list(again.names)
    for name in ("images", "masks", "instances"):
        for index in range(5):
            assert np.array_equal(getattr(whole, name)[index], getattr(again, name)[index])
    with pytest.raises(ValueError, match="the parts of a data set have different classes"):
        joined([records, replace(records, classes=records.classes._replace(boxes=("x", "y", "w")))])
