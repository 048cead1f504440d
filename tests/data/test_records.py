from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.types import LABEL_KINDS, Classes


def test_present_defaults_to_what_there_is(records: Records) -> None:
    assert records.present.all()
    assert records.kinds == LABEL_KINDS
    only = Records(images=records.images, names=records.names, classes=Classes(), masks=records.masks)
    assert only.kinds == ("mask",)
    assert only.present.tolist() == [[False, False, True, False]] * 10


def test_given_presence_is_kept(records: Records) -> None:
    present = records.present.copy()
    present[:, 1] = False
    assert replace(records, present=present).kinds == ("labels", "mask", "boxes")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("labels", np.zeros(9, dtype=np.int64), "labels has 9"),
        ("names", Strings(["a"]), "names has 1"),
        ("box_label", np.zeros(3, dtype=np.int64), "box_label has 3"),
        ("box_ignore", None, "one of them is None"),
        ("box_start", np.arange(11), "must rise from 0 to 18"),
        ("present", np.ones((10, 2), dtype=bool), "2 columns"),
    ],
)
def test_arrays_that_disagree_are_refused(records: Records, field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(records, **{field: value})
