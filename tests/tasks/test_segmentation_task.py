"""SegmentationTask: who counts, the trivial guess, results and pictures."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from visionkit.tasks.palette import colour
from visionkit.tasks.segmentation import Segmentation, SegmentationTask
from visionkit.types import Classes, MaskScores

TASK = SegmentationTask(background=0)
NAMES = ("ground", "road", "car")


def logits(mask: torch.Tensor) -> MaskScores:
    return MaskScores(torch.nn.functional.one_hot(mask.long(), 3).permute(0, 3, 1, 2).float())


def test_class_names() -> None:
    assert TASK.class_names(Classes(mask=NAMES)) == NAMES
    with pytest.raises(ValueError, match="task=segmentation needs masks"):
        TASK.class_names(Classes(labels=NAMES))


def test_update_leaves_out_samples_without_masks(batch) -> None:
    mask = torch.randint(0, 3, (3, 6, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = mask.clone()
    found[1:] = (found[1:] + 1) % 3
    present = torch.ones(3, 4, dtype=torch.bool)
    present[1:, 2] = False
    metric = TASK.metric(NAMES)
    TASK.update(metric, logits(found), batch(3, mask=mask, present=present))
    TASK.update(metric, logits(found), batch(3))
    values = metric.compute()
    assert values[TASK.monitor] == values["pixel_accuracy"] == 1
    TASK.update(metric, logits(found), batch(3, mask=mask))
    assert metric.compute()["pixel_accuracy"] == 0.5
    metric.reset()
    TASK.update(metric, logits(found), batch(3, mask=torch.full_like(mask, 255)))
    assert math.isnan(metric.compute()["mIoU"])


def test_trivial_is_the_commonest_class_at_each_position(batch) -> None:
    """Column 0 is class 1 twice; column 1 ties 0 with 2; column 2 is never labelled; the rest is class 2."""
    mask = torch.full((3, 6, 8), 2, dtype=torch.uint8)
    mask[:, :, 0] = torch.tensor([1, 1, 0])[:, None]
    mask[:, :, 1] = torch.tensor([0, 2, 255])[:, None]
    mask[:, :, 2] = 255
    hidden = torch.ones(1, 4, dtype=torch.bool)
    hidden[0, 2] = False
    batches = [batch(2, mask=mask[:2]), batch(1, mask=mask[2:]), batch(1, mask=mask[:1] * 0, present=hidden)]
    guess = TASK.trivial(batches, NAMES)(batch(2)).logits
    assert guess.shape == (2, 3, 6, 8)
    assert (guess.sum(1) == 1).all()
    assert guess.argmax(1)[1, 3].tolist() == [1, 2, 2, 2, 2, 2, 2, 2]
    wide = batch(1)._replace(images=torch.zeros(1, 3, 12, 16, dtype=torch.uint8))
    assert TASK.trivial(batches, NAMES)(wide).logits.argmax(1)[0, 3].tolist() == [1, 1] + [2] * 14
    with pytest.raises(ValueError, match="no training mask has a labelled pixel"):
        TASK.trivial([batch(1, mask=mask[:1] * 0 + 255)], NAMES)


def test_result_in_the_users_pixels(twice) -> None:
    scores = torch.zeros(1, 3, 6, 8)
    scores[0, 2, :, 4:] = 1
    scores[0, 1, :, :4] = 0.5
    result = TASK.result(MaskScores(scores), NAMES, twice(12, 16))
    assert result.mask.shape == (12, 16)
    assert result.mask.dtype == np.uint8
    assert result.mask[5].tolist() == [1] * 8 + [2] * 8
    # interpolated scores, not an enlarged mask: the stronger class wins the last column of the other
    scores[0, 2, :, 4:] = 4
    assert TASK.result(MaskScores(scores), NAMES, twice(12, 16)).mask[5].tolist() == [1] * 7 + [2] * 9


def test_json_and_files(batch) -> None:
    mask = torch.zeros(1, 6, 8, dtype=torch.uint8)
    mask[0, 0, :4], mask[0, 5, :] = 2, 255
    truth = TASK.truth(batch(1, mask=mask), 0, NAMES)
    data = json.loads(json.dumps(TASK.as_json(truth)))
    assert data == {
        "height": 6,
        "width": 8,
        "classes": {
            "ground": {"index": 0, "pixels": 36, "fraction": 36 / 48},
            "car": {"index": 2, "pixels": 4, "fraction": 4 / 48},
        },
    }
    np.testing.assert_array_equal(TASK.files(truth)["mask"], mask[0].numpy())
    assert TASK.truth(batch(1, mask=mask, present=torch.zeros(1, 4, dtype=torch.bool)), 0, NAMES) is None


def test_draw_tints_the_classes_but_not_the_background() -> None:
    image = np.full((20, 40, 3), 200, dtype=np.uint8)
    mask = np.zeros((20, 40), dtype=np.uint8)
    mask[4:16, 10:30] = 2
    before = image.copy()
    drawn = TASK.draw(image, Segmentation(mask, NAMES))
    np.testing.assert_array_equal(image, before)
    assert drawn.shape[1] == 320
    assert drawn.shape[0] > 160  # the legend
    assert drawn[8, 8].tolist() == [200, 200, 200]
    # The background takes no colour: the second class has that of the second class of boxes.
    np.testing.assert_allclose(drawn[80, 160], 0.55 * 200 + 0.45 * np.array(colour(1)), atol=1)
    bare = SegmentationTask(None).draw(image, Segmentation(mask, NAMES))
    assert bare[8, 8].tolist() != [200, 200, 200]
    np.testing.assert_allclose(bare[80, 160], 0.55 * 200 + 0.45 * np.array(colour(2)), atol=1)
