"""ClassificationTask: who counts, the trivial guess, results and pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from visionkit.tasks.classification import Classification, ClassificationTask
from visionkit.tasks.palette import colour
from visionkit.types import Classes, ClassScores

TASK = ClassificationTask()
NAMES = ("cat", "dog", "emu")


def test_class_names() -> None:
    assert TASK.class_names(Classes(labels=NAMES)) == NAMES
    with pytest.raises(ValueError, match="task=classification needs image labels"):
        TASK.class_names(Classes(mask=NAMES))


def test_update_leaves_out_samples_without_labels(batch) -> None:
    present = torch.zeros(4, 4, dtype=torch.bool)
    present[:2, 0] = True
    present[2:, 1:] = True
    metric = TASK.metric(NAMES)
    scores = ClassScores(torch.eye(3)[[0, 1, 1, 1]])
    TASK.update(metric, scores, batch(4, labels=torch.tensor([0, 2, 1, 1]), present=present))
    TASK.update(metric, scores, batch(4))
    assert metric.compute()["accuracy"] == 0.5
    assert TASK.monitor in metric.compute()
    metric.reset()
    TASK.update(metric, scores, batch(4, labels=torch.tensor([0, 2, 1, 1])))
    assert metric.compute()["accuracy"] == 0.75


def test_trivial_is_the_commonest_class(batch) -> None:
    present = torch.ones(3, 4, dtype=torch.bool)
    present[1:, 0] = False
    batches = [
        batch(5, labels=torch.tensor([2, 2, 1, 2, 1])),
        batch(3, labels=torch.tensor([1, 1, 1]), present=present),
    ]
    guess = TASK.trivial(batches, NAMES)(batch(2))
    assert guess.probabilities.tolist() == [[0, 0.5, 0.5]] * 2
    guess = TASK.trivial(batches[:1], NAMES)(batch(2))
    torch.testing.assert_close(guess.probabilities, torch.tensor([[0, 0.4, 0.6]] * 2))
    with pytest.raises(ValueError, match="no training image has a label"):
        TASK.trivial([batch(2)], NAMES)


def test_result_truth_and_json(batch, twice) -> None:
    result = TASK.result(ClassScores(torch.tensor([[0.25, 0.5, 0.25]])), NAMES, twice(12, 16))
    assert result == Classification("dog", 0.5, {"cat": 0.25, "dog": 0.5, "emu": 0.25})
    assert json.loads(json.dumps(TASK.as_json(result)))["probabilities"]["emu"] == 0.25
    assert TASK.files(result) == {}
    present = torch.tensor([[True] * 4, [False] * 4])
    labelled = batch(2, labels=torch.tensor([2, 0]), present=present)
    assert TASK.truth(labelled, 0, NAMES) == Classification("emu", 1.0, {"cat": 0, "dog": 0, "emu": 1})
    assert TASK.truth(labelled, 1, NAMES) is None


@pytest.mark.parametrize("shape", [(8, 8), (64, 48), (700, 90), (40, 900)])
def test_draw_makes_a_new_picture(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = image.copy()
    drawn = TASK.draw(image, Classification("cat", 0.7, {"cat": 0.7, "dog": 0.2, "emu": 0.1}))
    truth = TASK.draw(image, Classification("cat", 1.0, {"cat": 1.0, "dog": 0.0, "emu": 0.0}))
    assert not np.shares_memory(drawn, image)
    np.testing.assert_array_equal(image, before)
    assert drawn.dtype == np.uint8
    assert max(drawn.shape) >= 320
    assert drawn.shape[0] > truth.shape[0]  # three rows against one


def test_draw_shows_the_likeliest_three_best_first() -> None:
    image = np.zeros((400, 400, 3), dtype=np.uint8)
    result = Classification("dog", 0.6, {"cat": 0.1, "dog": 0.6, "emu": 0.25, "fox": 0.05})
    drawn = TASK.draw(image, result)
    seen = [np.argwhere((drawn == colour(k)).all(-1)) for k in range(4)]
    assert seen[1][:, 0].max() < seen[2][:, 0].min() <= seen[2][:, 0].max() < seen[0][:, 0].min()
    assert len(seen[1]) > 2 * len(seen[2]) > 2 * len(seen[0]) > len(seen[3]) == 0


def test_the_truth_of_mixed_images_is_the_share_of_each(batch) -> None:
    mixed = batch(
        2,
        labels=torch.tensor([0, 2]),
        mixed_labels=torch.tensor([1, 2]),
        mix=torch.tensor([0.75, 0.25]),
    )
    assert TASK.truth(mixed, 0, NAMES) == Classification("dog", 0.75, {"cat": 0.25, "dog": 0.75, "emu": 0.0})
    assert TASK.truth(mixed, 1, NAMES) == Classification("emu", 1.0, {"cat": 0.0, "dog": 0.0, "emu": 1.0})
