from __future__ import annotations

from dataclasses import replace

import numpy as np

from visionkit.data.records import Records
from visionkit.data.selection.shown import shown, with_the_untold


def pairs(records: Records, *kinds: str) -> list[tuple[int, int]]:
    found = shown(records, kinds) if kinds else shown(records)
    assert found.num_images == len(records)
    return list(zip(found.image.tolist(), found.label.tolist(), strict=True))


def test_labels_go_before_boxes_unless_asked_otherwise(records: Records) -> None:
    assert pairs(records) == pairs(records, "labels") == [(index, index % 2) for index in range(10)]
    assert shown(records).num_classes == 2
    assert shown(records, ("boxes",)).num_classes == 3
    assert pairs(records, "mask", "boxes") == pairs(records, "boxes")


def test_sets_of_labels(records: Records) -> None:
    some = np.zeros((10, 2), dtype=np.uint8)
    some[1] = 1
    some[4, 1] = 1
    assert pairs(replace(records, multilabel=some), "multilabel") == [(1, 0), (1, 1), (4, 1)]


def test_a_class_of_several_boxes_is_shown_once_and_ignored_boxes_show_nothing(records: Records) -> None:
    # Boxes of image i: class i % 3 and class 2; image 3 has none; every fifth box is to be ignored.
    ignored = {0, 5, 10, 15}
    expected = []
    row = 0
    for image in range(10):
        here = set()
        if image != 3:
            here = {label for at, label in ((row, image % 3), (row + 1, 2)) if at not in ignored}
            row += 2
        expected += [(image, label) for label in sorted(here)]
    assert pairs(records, "boxes") == expected
    assert (8, 2) in expected  # twice among its boxes


def test_what_a_sample_does_not_carry_is_not_shown(records: Records) -> None:
    present = records.present.copy()
    present[::2] = False
    assert pairs(replace(records, present=present)) == [(index, 1) for index in range(1, 10, 2)]


def test_masks_do_not_tell(records: Records) -> None:
    assert pairs(records, "mask") == []
    assert shown(records, ("mask",)).num_classes == 0


def test_each_image_is_told_of_by_the_first_kind_that_it_carries(records: Records) -> None:
    """Images 0 to 3 carry labels, 4 to 7 boxes, 8 and 9 a mask alone."""
    present = np.zeros_like(records.present)
    present[:4, 0] = present[4:8, 3] = present[8:, 2] = True
    found = shown(replace(records, present=present), ("labels", "boxes", "mask"))
    by_boxes = [pair for pair in pairs(records, "boxes") if 4 <= pair[0] < 8]
    assert list(zip(found.image.tolist(), found.label.tolist(), strict=True)) == [
        *((index, index % 2) for index in range(4)),
        *((index, 2 + label) for index, label in by_boxes),
    ]
    assert found.num_classes == 5
    assert found.told is not None
    assert found.told.tolist() == [0] * 4 + [1] * 4 + [-1] * 2
    whole = with_the_untold(found)
    assert [whole.image[-2:].tolist(), whole.label[-2:].tolist(), whole.num_classes] == [[8, 9], [5, 5], 6]
    assert whole.label[:-2].tolist() == found.label.tolist()
    assert with_the_untold(shown(records)).num_classes == 2
    assert with_the_untold(shown(records, ("mask",))).num_classes == 0
