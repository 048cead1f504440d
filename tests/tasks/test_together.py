"""What several heads see is in one picture: masks under boxes, all captions below."""

from __future__ import annotations

from typing import Any

import numpy as np

from visionkit.tasks.base import Task
from visionkit.tasks.classification import Classification, ClassificationTask
from visionkit.tasks.detection import Detection, DetectionTask
from visionkit.tasks.palette import colour
from visionkit.tasks.segmentation import Segmentation, SegmentationTask
from visionkit.tasks.together import draw_together

IMAGE = np.full((20, 40, 3), 200, dtype=np.uint8)
CAT, BOX, MASK = ClassificationTask(), DetectionTask(0.5), SegmentationTask(background=0)


def results() -> list[tuple[Task, Any]]:
    mask = np.zeros((20, 40), dtype=np.uint8)
    mask[4:16, 10:30] = 2  # the second class beside the background
    box = np.array([[10, 4, 30, 16]], dtype=np.float32)
    return [
        (CAT, Classification("cat", 0.9, {"cat": 0.9, "dog": 0.1})),
        (BOX, Detection(box, ("dog",), np.ones(1, dtype=np.float32), np.array([1]))),
        (MASK, Segmentation(mask, ("background", "cat", "dog"))),
    ]


def test_one_result_is_drawn_as_its_task_does() -> None:
    for task, result in results():
        np.testing.assert_array_equal(draw_together(IMAGE, [(task, result)]), task.draw(IMAGE, result))


def test_all_are_in_one_picture_whatever_their_order() -> None:
    before = IMAGE.copy()
    drawn = draw_together(IMAGE, results())
    np.testing.assert_array_equal(IMAGE, before)
    np.testing.assert_array_equal(draw_together(IMAGE, results()[::-1]), drawn)
    alone = {task: task.draw(IMAGE, result) for task, result in results()}
    captions = [alone[CAT][160:], alone[MASK][160:]]
    np.testing.assert_array_equal(drawn[160:], np.concatenate(captions))
    assert drawn[80, 160].tolist() == alone[MASK][80, 160].tolist()  # the tint
    assert drawn[80, 240].tolist() == list(colour(1))  # the box lies over the mask, and has the colour of its class


def test_without_captions_the_picture_ends_with_the_image() -> None:
    _, box, _ = results()
    empty = Segmentation(np.zeros((20, 40), dtype=np.uint8), ("background", "cat", "dog"))
    drawn = draw_together(IMAGE, [box, (MASK, empty)])
    np.testing.assert_array_equal(drawn, BOX.draw(IMAGE, box[1]))
