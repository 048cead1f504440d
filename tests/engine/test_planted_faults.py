"""A figure notices what is wrong: perfect predictions score 1 on the digits, planted faults visibly less.

Everything goes through the evaluation that the commands use.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.faults import FAULTS, SHIFT, Fault
from visionkit.data.embedded.digits import Digits
from visionkit.data.module import DataModule
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.selection.selection import Selection
from visionkit.engine.checkpoint import Model
from visionkit.engine.evaluation import measure
from visionkit.models.network import Network
from visionkit.tasks.classification import ClassificationTask
from visionkit.tasks.detection import DetectionTask
from visionkit.tasks.multilabel import MultilabelTask
from visionkit.tasks.segmentation import SegmentationTask
from visionkit.types import Batch, Boxes, ClassScores, Level, MaskScores, Prediction

SIZE = [64, 64]
TASKS = {
    "classification": ClassificationTask(),
    "multilabel": MultilabelTask(threshold=0.5),
    "segmentation": SegmentationTask(background=0),
    "detection": DetectionTask(threshold=0.3),
}
MONITORS = {"classification": "accuracy", "multilabel": "mAP", "segmentation": "mIoU_foreground", "detection": "mAP_50"}
CELL = 2  # pixels, of the default backbone's finest level


@cache
def records(split: str) -> Records:
    """Scenes that all tests share."""
    return Digits(num_scenes=400).read(split)


class FewDigits(Reader):
    """Reads the shared scenes."""

    def splits(self) -> tuple[str, ...]:
        return ("train", "test")

    def read(self, split: str) -> Records:
        return records(split)


DATA: dict[str, Any] = {
    "reader": {"_target_": f"{__name__}.FewDigits"},
    "size": SIZE,
    "batch_size": 32,
    "workers": 0,
}


class Oracle(nn.Module):
    """Says what is true of the images that it is shown, in the order of the test split."""

    def __init__(self, name: str, classes: int) -> None:
        super().__init__()
        self.name = name
        self.classes = classes
        self.mean = torch.zeros(1, 3, 1, 1)
        self.backbone = nn.Module()
        self.backbone.levels = (Level(16, CELL), Level(32, 4))
        data = DataModule(Selection(FewDigits()), None, SIZE, DATA["batch_size"], 0, 0, (TASKS[name].kind,))
        self.batches = iter(data.plain_dataloader("test"))

    def forward(self, images: Tensor) -> Batch:
        batch = cast(Batch, next(self.batches))
        assert torch.equal(batch.images, images)
        return batch

    def decode(self, batch: Batch) -> dict[str, Prediction]:
        targets = batch.targets
        if self.name == "classification":
            return {self.name: ClassScores(F.one_hot(targets.labels, self.classes).float())}
        if self.name == "multilabel":
            return {self.name: ClassScores(targets.multilabel)}
        if self.name == "segmentation":
            return {self.name: MaskScores(F.one_hot(targets.mask.long(), self.classes).permute(0, 3, 1, 2).float())}
        score = torch.ones(len(targets.boxes))
        return {self.name: Boxes(targets.boxes, score, targets.box_label, targets.box_image)}


def oracle(name: str) -> Model:
    classes = records("test").classes
    names = TASKS[name].class_names(classes)
    network = cast(Network, Oracle(name, len(names)))
    return Model(network, {name: TASKS[name]}, {name: names}, {"size": SIZE, "seed": 0})


def figures(model: Model) -> dict[str, float]:
    scores, _ = measure(model, DATA, "test", "cpu")
    return {key.removeprefix("test/"): value for key, value in scores.items()}


def fault(part: str) -> Fault:
    (found,) = [fault for fault in FAULTS if part in fault.name]
    return found


@pytest.mark.parametrize("name", list(TASKS))
def test_perfect_predictions_score_one(name: str) -> None:
    scores = figures(oracle(name))
    monitor = MONITORS[name]
    assert scores[monitor] == 1
    for other in ("mAP", "mAP_75", "mAR_100", "mIoU", "pixel_accuracy", "accuracy_macro", "f1_macro", "f1_micro"):
        assert scores.get(other, 1) == pytest.approx(1, abs=1e-6), other


def test_shifted_boxes_cost_more_than_half_of_the_figure() -> None:
    scores = figures(fault(f"boxes {SHIFT} px").plant(oracle("detection")))
    assert scores["mAP_50"] < 0.45
    assert scores["mAP_75"] < 0.05
    assert scores["mAP"] < 0.25


def test_masks_shifted_by_a_cell_lose_a_third() -> None:
    scores = figures(fault("masks one cell").plant(oracle("segmentation")))
    assert scores["mIoU_foreground"] < 0.65
    assert scores["pixel_accuracy"] < 0.97


def test_two_labels_exchanged_cost_exactly_their_share() -> None:
    labels = records("test").labels
    assert labels is not None
    exchanged = ((labels == 1) | (labels == 7)).mean()
    assert exchanged > 0.1
    scores = figures(fault("1 and 7").plant(oracle("classification")))
    assert scores["accuracy"] == pytest.approx(1 - exchanged, abs=1e-5)


@pytest.mark.parametrize("name", ["segmentation", "detection"])
def test_two_labels_exchanged_cost_two_classes_of_ten(name: str) -> None:
    scores = figures(fault("1 and 7").plant(oracle(name)))
    assert scores[MONITORS[name]] == pytest.approx(0.8, abs=1e-5)


def test_two_labels_exchanged_cost_two_of_ten_where_they_are_apart() -> None:
    several = records("test").multilabel
    assert several is not None
    one, other = several[:, 1].astype(bool), several[:, 7].astype(bool)
    scores = figures(fault("1 and 7").plant(oracle("multilabel")))
    f1 = 2 * (one & other).sum() / (one.sum() + other.sum())
    assert scores["f1_macro"] == pytest.approx((8 + 2 * f1) / 10, abs=1e-5)
    assert 0.8 < scores["mAP"] < 0.88


def test_every_task_has_faults_of_its_own_and_of_its_images() -> None:
    for task in TASKS.values():
        assert len([fault for fault in FAULTS if task.kind in fault.kinds]) >= 3


def test_left_out_normalisation_reaches_the_network() -> None:
    """The faulty network is fed what it says, and the sound one stays as it is."""
    backbone = nn.Module()
    head = nn.Module()
    network = Network(backbone, {}, {"a": head}, {"a": None}, [0.5, 0.4, 0.3], [0.2, 0.2, 0.2])  # type: ignore[arg-type, dict-item]
    model = Model(network, {}, {}, {})
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    before = network.normalize(images)
    torch.testing.assert_close(fault("0 to 1").plant(model).network.normalize(images), images / 255)
    torch.testing.assert_close(fault("0 to 255").plant(model).network.normalize(images), images.float())
    torch.testing.assert_close(network.normalize(images), before)
