"""A crowd in a file is neither object nor background, in training and in the metric: worked out by hand.

The crowd covers the left half of an image of 32 x 32, a dog lies at x 20 to 28 and y 8 to 16.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.data.coco_set import annotation, rectangle, write_images, write_json
from visionkit.data.formats.coco.reader import COCO
from visionkit.data.module import DataModule
from visionkit.data.selection.selection import Selection
from visionkit.losses.segmentation import CrossEntropyDice
from visionkit.models.heads.fcos_assign import assign
from visionkit.ops.points import cell_centres
from visionkit.tasks.detection import DetectionTask
from visionkit.tasks.segmentation import SegmentationTask
from visionkit.types import Batch, Boxes, MaskScores

CROWD = [[0.0, 0.0, 16.0, 32.0]]
DOG = [[20.0, 8.0, 28.0, 16.0]]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    dog = annotation(1, 1, 1, [20, 8, 8, 8], segmentation=rectangle(20, 8, 8, 8))
    runs = {"size": [32, 32], "counts": [0, 512, 512]}
    crowd = annotation(2, 1, 1, [0, 0, 16, 32], segmentation=runs) | {"iscrowd": 1}
    what = {
        "images": [{"id": 1, "file_name": "a.png", "height": 32, "width": 32}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [dog, crowd],
    }
    write_json(tmp_path / "annotations/val.json", what)
    write_images(tmp_path / "val", what)
    data = DataModule(Selection(COCO(str(tmp_path))), None, 32, 1, 0, 0, ("boxes", "mask"))
    return next(iter(data.val_dataloader()))


def test_no_point_in_a_crowd_counts_in_training(batch: Batch) -> None:
    points, strides = cell_centres([(8, 8)], [4], torch.device("cpu"))
    got = assign(points, strides, batch.targets, 1, radius=1.5)
    assert torch.equal(got.counted[0], points[:, 0] > 16)
    centres = points[got.label[0] >= 0].tolist()
    assert centres == [[22, 10], [26, 10], [22, 14], [26, 14]]


def test_detections_in_a_crowd_do_not_count_in_the_metric(batch: Batch) -> None:
    task = DetectionTask(threshold=0.5)
    inside = [[1.0, 1.0, 9.0, 9.0], [4.0, 10.0, 15.0, 30.0], *CROWD]
    found = Boxes(
        torch.tensor([*inside, *DOG]),
        torch.tensor([0.9, 0.8, 0.7, 0.6]),
        torch.zeros(4, dtype=torch.long),
        torch.zeros(4, dtype=torch.long),
    )
    metric = task.metric(("dog",))
    task.update(metric, found, batch)
    assert metric.compute()["mAP"] == pytest.approx(1)
    metric.reset()
    as_object = batch.targets._replace(box_ignore=torch.zeros(2, dtype=torch.bool))
    task.update(metric, found, batch._replace(targets=as_object))
    assert metric.compute()["mAP"] < 0.6
    metric.reset()
    task.update(metric, Boxes(*(rows[3:] for rows in found)), batch)  # nor is it missed
    assert metric.compute()["mAR_100"] == pytest.approx(1)


def test_pixels_of_a_crowd_count_neither_in_loss_nor_metric(batch: Batch) -> None:
    assert batch.targets.mask is not None
    logits = torch.zeros(1, 2, 32, 32, requires_grad=True)
    terms = CrossEntropyDice(dice_weight=0)(logits, batch.targets)
    assert terms["cross_entropy"].item() == pytest.approx(math.log(2))
    terms["cross_entropy"].backward()
    assert logits.grad is not None
    moved = logits.grad.abs().sum(1)[0] > 0
    assert not moved[:, :16].any()
    assert moved[:, 16:].all()
    task = SegmentationTask(background=0)
    names = ("background", "dog")
    right = torch.nn.functional.one_hot(batch.targets.mask.clamp(max=1).long(), 2).permute(0, 3, 1, 2).float()
    for left in (0, 1):  # whatever is said of the crowd
        right[:, :, :, :16] = torch.eye(2)[left][None, :, None, None]
        metric = task.metric(names)
        task.update(metric, MaskScores(right), batch)
        assert metric.compute()["mIoU"] == metric.compute()["pixel_accuracy"] == 1
    right[:, :, 8:16, 24:28] = torch.eye(2)[0][None, :, None, None]  # half of the dog
    metric = task.metric(names)
    task.update(metric, MaskScores(right), batch)
    assert metric.compute()["mIoU_foreground"] == 0.5
