from __future__ import annotations

import numpy as np
import pytest

from visionkit.data.augmentation.visible import clipped, measured
from visionkit.data.sample import Sample
from visionkit.types import LABEL_KINDS


def sample(boxes: list[list[float]], instances: np.ndarray | None = None) -> Sample:
    number = len(boxes)
    return Sample(
        np.zeros((10, 20, 3), dtype=np.uint8),
        0,
        (10, 20),
        np.ones(len(LABEL_KINDS), dtype=bool),
        boxes=np.asarray(boxes, dtype=np.float32).reshape(-1, 4),
        box_label=np.arange(number),
        box_ignore=np.zeros(number, dtype=bool),
        box_value=np.arange(1, number + 1),
        instances=instances,
    )


def test_clipped_by_hand() -> None:
    """Left of each box: all, a tenth, less, nothing, and a strip under a pixel that is more than a tenth."""
    found = clipped(sample([[1, 1, 5, 5], [-9, 0, 1, 10], [19.1, 0, 29.1, 10], [30, 0, 40, 10], [19.5, 0, 22, 10]]))
    assert found.box_label is not None
    assert found.boxes is not None
    assert found.box_label.tolist() == [0, 1]
    assert found.boxes.tolist() == [[1, 1, 5, 5], [0, 0, 1, 10]]
    assert clipped(sample([])).boxes is not None


@pytest.mark.parametrize(("left", "kept"), [(4, True), (3, False)])
def test_what_is_left_of_an_instance_counts_at_the_new_scale(left: int, kept: bool) -> None:
    """Of 10 pixels, at a scale of 4 new ones each, a tenth are 4; taken at the old scale, 1 would do."""
    before = np.zeros((10, 20), dtype=np.uint8)
    before[0, :10] = 1
    after = np.zeros((10, 20), dtype=np.uint8)
    after[3, 5 : 5 + left] = 1
    found = measured(sample([[0, 0, 10, 1]], after), before, 4.0)
    assert found.boxes is not None
    assert found.boxes.tolist() == ([[5, 3, 9, 4]] if kept else [])
