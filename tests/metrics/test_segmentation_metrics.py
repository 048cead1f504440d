"""MaskMetrics: a hand-worked case and brute force over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, jaccard_score

from visionkit.metrics.segmentation import MaskMetrics


def computed(prediction: torch.Tensor, mask: torch.Tensor, classes: int, background: int | None) -> dict[str, float]:
    metric = MaskMetrics(classes, background)
    for p, m in zip(prediction, mask, strict=True):
        metric.update(p[None], m[None])
    return {name: value.item() for name, value in metric.compute().items()}


def test_hand_worked() -> None:
    """Class 0: 2 of 4, class 1: 1 of 3, class 2: 0 of 1, class 3 in neither; 3 of 6 pixels right."""
    prediction = torch.tensor([[[0, 0, 0, 1], [1, 0, 3, 2]]])
    mask = torch.tensor([[[0, 0, 1, 1], [0, 2, 255, 255]]], dtype=torch.uint8)
    values = computed(prediction, mask, 4, background=0)
    assert values["pixel_accuracy"] == pytest.approx(3 / 6)
    assert values["mIoU"] == pytest.approx((2 / 5 + 1 / 3 + 0) / 3)
    assert values["mIoU_foreground"] == pytest.approx((1 / 3 + 0) / 2)
    assert computed(prediction, mask, 4, background=None)["mIoU_foreground"] == pytest.approx(values["mIoU"])
    assert computed(prediction, mask, 4, background=1)["mIoU_foreground"] == pytest.approx((2 / 5 + 0) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_equals_sklearn(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 5, 9, 7, generator=generator)
    mask = torch.randint(0, 5, (4, 9, 7), generator=generator).to(torch.uint8)
    mask[torch.rand(4, 9, 7, generator=generator) < 0.3] = 255
    truth, found = mask.numpy()[mask != 255], logits.argmax(1).numpy()[mask != 255]
    values = computed(logits, mask, 5, background=2)
    assert values["mIoU"] == pytest.approx(jaccard_score(truth, found, average="macro"))
    iou = jaccard_score(truth, found, average=None)
    assert values["mIoU_foreground"] == pytest.approx(np.delete(iou, 2).mean())
    assert values["pixel_accuracy"] == pytest.approx(accuracy_score(truth, found))


def test_nothing_to_measure_is_nan() -> None:
    void = torch.full((1, 2, 2), 255, dtype=torch.uint8)
    assert all(math.isnan(v) for v in computed(torch.zeros(1, 2, 2).long(), void, 3, 0).values())
    blank = torch.zeros(1, 2, 2, dtype=torch.uint8)
    values = computed(blank.long(), blank, 3, background=0)
    assert values["mIoU"] == values["pixel_accuracy"] == 1
    assert math.isnan(values["mIoU_foreground"])


def test_reset() -> None:
    metric = MaskMetrics(2, None)
    metric.update(torch.zeros(1, 2, 2).long(), torch.ones(1, 2, 2).long())
    assert metric.compute()["pixel_accuracy"] == 0
    metric.reset()
    metric.update(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 2).long())
    assert metric.compute()["pixel_accuracy"] == 1


def test_refuses() -> None:
    metric = MaskMetrics(3, 0)
    with pytest.raises(ValueError, match="holds the value 7, but there are 3 classes"):
        metric.update(torch.zeros(1, 2, 2).long(), torch.full((1, 2, 2), 7))
    with pytest.raises(ValueError, match="differ in batch, height or width"):
        metric.update(torch.zeros(1, 3, 2, 4), torch.zeros(1, 4, 2).long())
    with pytest.raises(ValueError, match="background=3 is not a mask class"):
        MaskMetrics(3, 3)
