from __future__ import annotations

import numpy as np

from visionkit.data.formats.box_checks import sound_boxes
from visionkit.data.report import Report

BOXES = np.asarray(
    [
        [1, 1, 5, 4],  # 0: good
        [1, 1, 1, 4],  # 1: empty
        [5, 1, 4, 4],  # 2: inverted
        [1, 4, 5, 1],  # 3: inverted the other way
        [1, 1, 5, 4],  # 4: as 0, of another label
        [1, 1, 5, 4],  # 5: as 0
        [-1, -1, 11, 9],  # 6: within the slack
        [-1.5, 1, 5, 4],  # 7 to 10: beyond each side
        [1, -1.5, 5, 4],
        [1, 1, 11.5, 4],
        [1, 1, 5, 9.5],
        [5, 1, 4, 4],  # 11: as 2, which is said once
    ],
    dtype=np.float64,
)
LABELS = np.asarray([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])


def test_each_kind_is_found_once() -> None:
    report = Report()
    keep = sound_boxes(BOXES, LABELS, (8, 10), lambda row: f"row {row}", report)
    assert keep.tolist() == [0, 4, 6, 7, 8, 9, 10]
    found = [(finding.code, finding.path) for finding in report.findings]
    assert found == [
        ("box_empty", "row 1"),
        ("box_inverted", "row 2"),
        ("box_inverted", "row 3"),
        ("box_inverted", "row 11"),
        ("box_duplicate", "row 5"),
        ("box_outside", "row 7"),
        ("box_outside", "row 8"),
        ("box_outside", "row 9"),
        ("box_outside", "row 10"),
    ]
    assert {finding.level for finding in report.findings} == {"warning"}


def test_without_a_size_nothing_is_outside() -> None:
    report = Report()
    sound_boxes(BOXES, LABELS, None, str, report)
    assert "box_outside" not in {finding.code for finding in report.findings}


def test_no_boxes_are_no_problem() -> None:
    assert sound_boxes(np.empty((0, 4)), np.empty(0, dtype=np.int64), (3, 3), str, Report()).shape == (0,)
