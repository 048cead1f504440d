"""MultilabelTask: who counts, the trivial guess, results and pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from visionkit.tasks.multilabel import Multilabel, MultilabelTask
from visionkit.tasks.palette import colour
from visionkit.types import LABEL_KINDS, Classes, ClassScores

TASK = MultilabelTask(threshold=0.5)
NAMES = ("cat", "dog", "emu")
TRUTH = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1]])


def present(*rows: bool) -> torch.Tensor:
    """Samples that carry this kind or every other one."""
    carried = ~torch.tensor(rows)[:, None].repeat(1, len(LABEL_KINDS))
    carried[:, LABEL_KINDS.index("multilabel")] = torch.tensor(rows)
    return carried


def test_constructor_and_class_names() -> None:
    assert TASK.monitor == "mAP"
    assert TASK.class_names(Classes(labels=NAMES)) == NAMES
    with pytest.raises(ValueError, match="task=multilabel needs image labels"):
        TASK.class_names(Classes(mask=NAMES))
    with pytest.raises(ValueError, match=r"task\.threshold=50 is no probability; give a number from 0 to 1"):
        MultilabelTask(50)
    with pytest.raises(ValueError, match="choose one of mAP, f1_macro, f1_micro"):
        MultilabelTask(0.5, "accuracy")


def test_update_leaves_out_samples_without_labels(batch) -> None:
    metric = TASK.metric(NAMES)
    scores = ClassScores(0.1 + 0.8 * TRUTH)
    wrong = ClassScores(torch.cat([scores.probabilities[:3], 1 - scores.probabilities[3:]]))
    TASK.update(metric, wrong, batch(4, multilabel=TRUTH, present=present(True, True, True, False)))
    TASK.update(metric, scores, batch(4))
    assert {name: value.item() for name, value in metric.compute().items()} == pytest.approx(
        {"mAP": 1, "f1_macro": 1, "f1_micro": 1}
    )
    assert set(TASK.metric_names) == set(metric.compute())
    TASK.update(metric, wrong, batch(4, multilabel=TRUTH))
    assert metric.compute()["mAP"] < 1


def test_the_threshold_reaches_results_and_f1(batch) -> None:
    high = MultilabelTask(threshold=0.9)
    scores = ClassScores(0.1 + 0.7 * TRUTH)
    metrics = {}
    for task in (TASK, high):
        metric = task.metric(NAMES)
        task.update(metric, scores, batch(4, multilabel=TRUTH))
        metrics[task] = metric.compute()
    assert (metrics[TASK]["f1_micro"], metrics[high]["f1_micro"]) == (1, 0)
    assert metrics[TASK]["mAP"] == metrics[high]["mAP"] == 1


def test_trivial_is_each_class_by_its_share(batch) -> None:
    batches = [
        batch(4, multilabel=TRUTH),
        batch(2, multilabel=torch.ones(2, 3), present=present(False, True)),
        batch(3),
    ]
    guess = TASK.trivial(batches, NAMES)(batch(2))
    torch.testing.assert_close(guess.probabilities, torch.tensor([[3 / 5, 3 / 5, 2 / 5]] * 2))
    with pytest.raises(ValueError, match="no training image carries labels"):
        TASK.trivial([batch(2), batch(1, multilabel=torch.ones(1, 3), present=present(False))], NAMES)


def test_result_truth_and_json(batch, twice) -> None:
    result = TASK.result(ClassScores(torch.tensor([[0.5, 0.25, 0.75]])), NAMES, twice(12, 16))
    assert result == Multilabel({"emu": 0.75, "cat": 0.5}, {"cat": 0.5, "dog": 0.25, "emu": 0.75})
    assert list(result.labels) == ["emu", "cat"]
    assert json.loads(json.dumps(TASK.as_json(result))) == {
        "labels": {"emu": 0.75, "cat": 0.5},
        "probabilities": {"cat": 0.5, "dog": 0.25, "emu": 0.75},
    }
    assert TASK.files(result) == {}
    labelled = batch(4, multilabel=TRUTH, present=present(True, True, True, False))
    assert TASK.truth(labelled, 1, NAMES) == Multilabel({"cat": 1, "dog": 1}, {"cat": 1, "dog": 1, "emu": 0})
    assert TASK.truth(labelled, 2, NAMES) == Multilabel({}, {"cat": 0, "dog": 0, "emu": 0})
    assert TASK.truth(labelled, 3, NAMES) is None
    assert TASK.truth(batch(1), 0, NAMES) is None


@pytest.mark.parametrize("shape", [(8, 8), (64, 48), (700, 90), (40, 900)])
def test_draw_makes_a_new_picture(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = image.copy()
    drawn = TASK.draw(image, Multilabel({"cat": 0.7}, {"cat": 0.7, "dog": 0.2, "emu": 0.1}))
    nothing = TASK.draw(image, Multilabel({}, dict.fromkeys(NAMES, 0.0)))
    for picture in (drawn, nothing):
        assert not np.shares_memory(picture, image)
        assert picture.dtype == np.uint8
        assert max(picture.shape) >= 320
    np.testing.assert_array_equal(image, before)
    assert drawn.shape[0] > nothing.shape[0]


def rows(drawn: np.ndarray, classes: int) -> list[np.ndarray]:
    return [np.argwhere((drawn == colour(k)).all(-1)) for k in range(classes)]


def test_draw_shows_what_was_found_in_its_colour_best_first() -> None:
    image = np.zeros((400, 400, 3), dtype=np.uint8)
    probabilities = {"cat": 0.6, "dog": 0.9, "emu": 0.4, "fox": 0.1}
    seen = rows(TASK.draw(image, Multilabel({"dog": 0.9, "cat": 0.6}, probabilities)), 4)
    assert 0 < seen[1][:, 0].max() < seen[0][:, 0].min()
    assert len(seen[1]) > 1.3 * len(seen[0]) > 0
    assert len(seen[2]) == len(seen[3]) == 0  # not found: grey
    three, four = (
        TASK.draw(image, Multilabel(dict.fromkeys(names, 1.0), dict.fromkeys("abcde", 1.0))).shape[0]
        for names in ("a", "abcd")
    )
    assert TASK.draw(image, Multilabel({"a": 1.0}, {"a": 1.0, "b": 0.0})).shape[0] < three < four
    many = {str(number): 1.0 for number in range(40)}
    assert TASK.draw(image, Multilabel(many, many)).shape[0] < 1.7 * 400
