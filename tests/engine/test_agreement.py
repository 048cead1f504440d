"""What counts as equal, and what does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from visionkit.engine.exporter.agreement import PIXELS, PROBABILITY, Agreement, disturbed, of_boxes, of_probabilities
from visionkit.losses.fcos import PointOutputs
from visionkit.types import Boxes, ClassScores, MaskScores

NOTHING = [0.0, 0, 0, 0, 0, -1]


def expected() -> Boxes:
    """Three detections in the first image, none in the second, one in the third."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10], [5, 5, 9, 9]])
    label = torch.tensor([0, 1, 1, 0])
    return Boxes(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), label, torch.tensor([0, 0, 0, 2]))


def found() -> Tensor:
    """The same as a file gives it."""
    rows = torch.tensor(NOTHING).repeat(3, 4, 1)
    for index, (image, row) in enumerate([(0, 0), (0, 1), (0, 2), (2, 0)]):
        boxes, score, label, _ = (column[index] for column in expected())
        rows[image, row] = torch.cat([boxes, score[None], label[None].float()])
    return rows


def never(number: int) -> Boxes:
    raise AssertionError("nothing was amiss")


def steady(number: int) -> Boxes:
    return expected()


def test_equal_detections_agree() -> None:
    agreement = of_boxes(expected(), found(), never)
    assert agreement == Agreement(compared=4)
    assert agreement.holds


@pytest.mark.parametrize("factor", [0.5, 2])
@pytest.mark.parametrize(("column", "tolerance"), [(0, PIXELS), (3, PIXELS), (4, PROBABILITY)])
def test_detections_may_be_off_by_the_tolerance(column: int, tolerance: float, factor: float) -> None:
    rows = found()
    rows[0, 1, column] += factor * tolerance
    agreement = of_boxes(expected(), rows, steady)
    assert agreement.holds is (factor < 1)
    assert agreement.unmatched == (0 if factor < 1 else 2)
    if factor < 1:
        value = agreement.probability if column == 4 else agreement.pixels
        assert value == pytest.approx(factor * tolerance, rel=0.05)


def _missing(rows: Tensor) -> None:
    rows[0, 2] = torch.tensor(NOTHING)


def _added(rows: Tensor) -> None:
    rows[1, 0] = rows[2, 0]


def _relabelled(rows: Tensor) -> None:
    rows[0, 0, 5] = 2


def _of_another_image(rows: Tensor) -> None:
    rows[[1, 2]] = rows[[2, 1]]


def _out_of_order(rows: Tensor) -> None:
    rows[0, [0, 1]] = rows[0, [1, 0]]


def _with_a_gap(rows: Tensor) -> None:
    rows[0, [2, 3]] = rows[0, [3, 2]]


def _with_scores_in_the_padding(rows: Tensor) -> None:
    rows[1, 3, 4] = 0.5


def _not_a_number(rows: Tensor) -> None:
    rows[0, 0, 2] = torch.nan


FAULTS = [_missing, _added, _relabelled, _of_another_image, _out_of_order, _with_a_gap, _with_scores_in_the_padding,
          _not_a_number]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_detections_do_not(fault) -> None:
    rows = found()
    fault(rows)
    agreement = of_boxes(expected(), rows, steady)
    assert agreement.unmatched > 0
    assert not agreement.holds


def test_a_box_that_the_checkpoint_itself_loses_is_a_tie() -> None:
    def losing(number: int) -> Boxes:
        keep = torch.tensor([True, True, number != 3, True])
        return Boxes(*(column[keep] for column in expected()))

    rows = found()
    _missing(rows)
    agreement = of_boxes(expected(), rows, losing)
    assert (agreement.ties, agreement.unmatched) == (1, 0)
    assert agreement.holds
    _relabelled(rows)
    assert not of_boxes(expected(), rows, losing).holds


def test_a_box_that_the_checkpoint_itself_gains_is_a_tie() -> None:
    less = Boxes(*(column[:3] for column in expected()))
    agreement = of_boxes(less, found(), steady)
    assert (agreement.ties, agreement.unmatched) == (1, 0)
    assert not of_boxes(less, found(), lambda number: less).holds


def test_probabilities() -> None:
    truth = ClassScores(torch.tensor([[0.50002, 0.49998], [0.1, 0.9]]))
    assert of_probabilities(truth, truth.probabilities) == Agreement(compared=4)
    near = of_probabilities(truth, torch.tensor([[0.49998, 0.50002], [0.1, 0.9]]))
    assert near.holds
    assert near.other_class == 1
    assert near.probability == pytest.approx(4e-5, rel=0.01)
    assert not of_probabilities(truth, truth.probabilities.flip(1)).holds
    assert not of_probabilities(truth, truth.probabilities[:1]).holds
    assert not of_probabilities(truth, truth.probabilities.clone().fill_(torch.nan)).holds


def test_masks_are_compared_as_probabilities() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert of_probabilities(MaskScores(logits), logits.softmax(1)).holds
    shifted = of_probabilities(MaskScores(logits), logits.softmax(1).roll(1, 3))
    assert shifted.other_class > 10
    assert not shifted.holds


def test_findings_add_up_to_the_worst() -> None:
    whole = Agreement(4, 0.1, 0.2, 1, 1, 0) + Agreement(3, 0.3, 0.1, 0, 1, 2)
    assert whole == Agreement(7, 0.3, 0.2, 1, 2, 2)
    for one, other in ((Agreement(1, torch.nan), Agreement(1, 0.0)), (Agreement(1, 0.0), Agreement(1, torch.nan))):
        assert not (one + other).holds


def test_disturbed_outputs_are_off_by_rounding() -> None:
    g = torch.Generator().manual_seed(0)
    points, strides = torch.ones(6, 2), torch.ones(6)
    logits, distances = torch.randn(2, 6, 3, generator=g), torch.rand(2, 6, 4, generator=g)
    outputs = PointOutputs(logits, distances, logits[..., 0], points, strides, torch.tensor([8.0, 8, 8]))
    one, other = disturbed(outputs, 0), disturbed(outputs, 1)
    assert isinstance(one, PointOutputs)
    assert torch.equal(disturbed(outputs, 0)[0], one[0])
    for field in ("class_logits", "distances", "centerness_logits"):
        before, after = getattr(outputs, field), getattr(one, field)
        assert 0 < (after - before).abs().max() < 1e-4
        assert not torch.equal(after, getattr(other, field))
    assert one.points is points
