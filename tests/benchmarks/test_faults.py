"""The planted faults do what they say."""

from __future__ import annotations

import torch

from benchmarks.faults import SHIFT, shift_boxes, shift_masks, swap_classes
from visionkit.types import Boxes, ClassScores, MaskScores

DIGITS = tuple("0123456789")


def boxes(*labels: int) -> Boxes:
    count = len(labels)
    corners = torch.tensor([10.0, 20.0, 30.0, 50.0]).repeat(count, 1)
    return Boxes(corners, torch.linspace(1, 0.5, count), torch.tensor(labels), torch.zeros(count, dtype=torch.long))


def test_boxes_move_right_and_down_and_keep_their_size() -> None:
    sound = boxes(3)
    shifted = shift_boxes(sound, DIGITS)
    assert shifted.boxes.tolist() == [[10 + SHIFT, 20 + SHIFT, 30 + SHIFT, 50 + SHIFT]]
    assert shifted.score is sound.score
    assert shifted.label is sound.label


def test_masks_move_right_and_down() -> None:
    logits = torch.zeros(1, 2, 5, 7)
    logits[0, 1, 1, 3] = 1
    shifted = shift_masks(MaskScores(logits), ("background", "0"), pixels=2).logits
    assert shifted.shape == logits.shape
    assert shifted[0, 1].nonzero().tolist() == [[3, 5]]


def test_the_edge_is_repeated_when_masks_move() -> None:
    logits = torch.arange(4.0).view(1, 1, 2, 2)
    assert shift_masks(MaskScores(logits), ("background",), pixels=1).logits.tolist() == [[[[0, 0], [0, 0]]]]


def test_labels_of_boxes_are_exchanged() -> None:
    assert swap_classes(boxes(1, 7, 3, 1), DIGITS).label.tolist() == [7, 1, 3, 7]


def test_masks_have_a_background_before_the_digits() -> None:
    logits = torch.arange(11.0).view(1, 11, 1, 1)
    swapped = swap_classes(MaskScores(logits), ("background", *DIGITS))
    assert isinstance(swapped, MaskScores)
    assert swapped.logits.flatten().tolist() == [0, 1, 8, 3, 4, 5, 6, 7, 2, 9, 10]


def test_probabilities_are_exchanged() -> None:
    swapped = swap_classes(ClassScores(torch.arange(10.0)[None]), DIGITS)
    assert isinstance(swapped, ClassScores)
    assert swapped.probabilities.tolist() == [[0, 7, 2, 3, 4, 5, 6, 1, 8, 9]]
