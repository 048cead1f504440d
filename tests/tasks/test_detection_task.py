"""DetectionTask: who counts, the trivial guess, results and pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from visionkit.tasks.detection import Detection, DetectionTask
from visionkit.types import Boxes, Classes

TASK = DetectionTask(threshold=0.3)
NAMES = ("cell", "clot")
TRUE = torch.tensor([[0, 0, 4, 4], [1, 1, 3, 6], [2, 0, 8, 6], [0, 0, 8, 6]]).float()
TARGETS = {
    "boxes": TRUE,
    "box_label": torch.tensor([0, 1, 0, 0]),
    "box_image": torch.tensor([0, 1, 2, 2]),
    "box_ignore": torch.tensor([False, False, False, True]),
}


def test_constructor_and_class_names() -> None:
    assert TASK.class_names(Classes(boxes=NAMES)) == NAMES
    with pytest.raises(ValueError, match="task=detection needs boxes"):
        TASK.class_names(Classes(labels=NAMES))
    with pytest.raises(ValueError, match=r"threshold must be a score from 0 to 1; got 30"):
        DetectionTask(30)


def found(*rows: int) -> Boxes:
    """Return some of the true boxes as detections."""
    index = list(rows)
    return Boxes(TRUE[index], torch.ones(len(index)) * 0.9, TARGETS["box_label"][index], TARGETS["box_image"][index])


def test_update_leaves_out_samples_without_boxes(batch) -> None:
    present = torch.ones(3, 4, dtype=torch.bool)
    present[0, 3] = False  # its wrong detection does not count, its unseen truth neither
    wrong = Boxes(torch.tensor([[5.0, 4, 8, 6]]), torch.tensor([0.99]), torch.tensor([0]), torch.tensor([0]))
    prediction = Boxes(*(torch.cat(pair) for pair in zip(wrong, found(1, 2), strict=True)))
    metric = TASK.metric(NAMES)
    TASK.update(metric, prediction, batch(3, **TARGETS, present=present))
    TASK.update(metric, prediction, batch(3))
    values = metric.compute()
    assert values[TASK.monitor] == pytest.approx(1)
    metric.reset()
    TASK.update(metric, prediction, batch(3, **TARGETS))
    assert metric.compute()["mAP_50"] < 0.9


def test_update_marks_ignored_boxes_and_uses_ids(batch) -> None:
    metric = TASK.metric(NAMES)
    TASK.update(metric, found(0, 1, 2), batch(3, **TARGETS))
    assert metric.compute()["mAP"] == pytest.approx(1)  # the ignored box is not missed
    TASK.update(metric, found(), batch(3, **TARGETS))  # the same ids again: not counted
    assert metric.compute()["mAP"] == pytest.approx(1)
    TASK.update(metric, found(), batch(3, first=3, **TARGETS))
    assert metric.compute()["mAP"] < 0.6


def test_trivial_is_the_median_box_of_the_commonest_class(batch) -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [1, 3, 5, 5], [2, 1, 9, 6], *[[7, 7, 8, 8]] * 4]).float()
    label, image = torch.tensor([1, 1, 1, 0, 0, 0, 0]), torch.tensor([0, 0, 1, 1, 1, 1, 2])
    ignore = torch.tensor([False, False, False, False, False, True, False])
    present = torch.tensor([[True] * 4, [True] * 4, [False] * 4])
    one = batch(3, boxes=boxes, box_label=label, box_image=image, box_ignore=ignore, present=present)
    guess = TASK.trivial([one, batch(2)], NAMES)(batch(2))
    assert guess.boxes.tolist() == [[1, 1, 5, 5]] * 2
    assert guess.label.tolist() == [1, 1]
    assert guess.image.tolist() == [0, 1]
    assert guess.score.tolist() == [1, 1]
    with pytest.raises(ValueError, match="there is no training box"):
        TASK.trivial([batch(2)], NAMES)


def test_result_in_the_users_pixels(twice) -> None:
    prediction = Boxes(
        torch.tensor([[1, 2, 3, 4], [4, 3, 9, 9], [0, 0, 1, 1]]).float(),
        torch.tensor([0.9, 0.3, 0.29]),
        torch.tensor([1, 0, 0]),
        torch.zeros(3, dtype=torch.long),
    )
    result = TASK.result(prediction, NAMES, twice(12, 16))
    assert result.boxes.tolist() == [[2, 4, 6, 8], [8, 6, 16, 12]]
    assert result.labels == ("clot", "cell")
    objects = json.loads(json.dumps(TASK.as_json(result)))["objects"]
    assert objects[0] == {"label": "clot", "score": pytest.approx(0.9), "box": [2, 4, 6, 8]}
    none = TASK.result(Boxes(*(value[:0] for value in prediction)), NAMES, twice(12, 16))
    assert none.boxes.shape == (0, 4)
    assert TASK.as_json(none) == {"objects": []}


def test_truth(batch) -> None:
    present = torch.tensor([[True] * 4, [False] * 4, [True] * 4])
    truth = TASK.truth(batch(3, **TARGETS, present=present), 2, NAMES)
    assert truth.boxes.tolist() == TRUE[2:].tolist()
    assert truth.labels == ("cell", "cell (ignored)")
    assert truth.scores.tolist() == [1, 1]
    assert TASK.truth(batch(3, **TARGETS, present=present), 1, NAMES) is None
    assert TASK.truth(batch(3, **TARGETS), 1, NAMES).labels == ("clot",)
    bare = {**TARGETS, "box_label": None}
    with pytest.raises(ValueError, match="need box_label and box_image"):
        TASK.truth(batch(3, **bare), 0, NAMES)


@pytest.mark.parametrize("shape", [(8, 8), (64, 48), (500, 700), (30, 900)])
def test_draw_makes_a_new_picture(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 90, dtype=np.uint8)
    before = image.copy()
    boxes = np.array([[-5, -5, 4, 4], [2, 2, 7, 7], [900, 900, 990, 990]], dtype=np.float32)
    result = Detection(boxes, ("cell",) * 3, np.array([0.9, 0.5, 0.4], np.float32), np.array([0, 1, 300]))
    drawn = TASK.draw(image, result)
    np.testing.assert_array_equal(image, before)
    assert (boxes[0] == [-5, -5, 4, 4]).all()
    assert max(drawn.shape) >= 320
    assert drawn.shape[0] % shape[0] == 0
    assert (drawn != 90).any()
