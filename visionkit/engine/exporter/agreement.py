"""Say whether what a file gives is what the checkpoint gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from visionkit.types import Boxes, ClassScores, MaskScores, Prediction

PROBABILITY = 1e-3
"""How far a probability or a score may be off. Runtimes sum in another order: with large logits 2e-5 was seen."""

PIXELS = 0.01
"""How far a side of a box may be off."""


class Agreement(NamedTuple):
    """How well some images agree; those of several batches add up with `+`."""

    compared: int = 0  # probabilities or boxes
    probability: float = 0.0  # largest difference of a probability or a score
    pixels: float = 0.0  # largest difference of a box's side
    other_class: int = 0  # images or pixels whose likeliest class is another one within the tolerance
    ties: int = 0  # boxes of one side only that the checkpoint itself gains or loses by rounding
    unmatched: int = 0  # other boxes of one side only

    def __add__(self, other: object) -> Agreement:
        """Join two findings."""
        if not isinstance(other, Agreement):
            return NotImplemented
        return Agreement(
            self.compared + other.compared,
            _worse(self.probability, other.probability),
            _worse(self.pixels, other.pixels),
            self.other_class + other.other_class,
            self.ties + other.ties,
            self.unmatched + other.unmatched,
        )

    @property
    def holds(self) -> bool:
        """Whether everything is within its tolerance; what is not a number is not."""
        return self.probability <= PROBABILITY and self.pixels <= PIXELS and not self.unmatched


def of_probabilities(expected: ClassScores | MaskScores, found: Tensor) -> Agreement:
    """Compare probabilities (B, K, ...); a likeliest class may differ where two are equal up to the tolerance."""
    truth = expected.logits.softmax(1) if isinstance(expected, MaskScores) else expected.probabilities
    if truth.shape != found.shape:
        return Agreement(unmatched=truth.numel())
    other_class = int((truth.argmax(1) != found.argmax(1)).sum())
    return Agreement(truth.numel(), _largest(truth - found), other_class=other_class)


def of_boxes(expected: Boxes, found_BD6: Tensor, again: Callable[[int], Boxes]) -> Agreement:
    """Compare detections one by one: each has its counterpart of the same class, box and score on the other side.

    Which of two nearly equal boxes survives may hang on the last digit. `again(n)` is the checkpoint's own decoding of
    outputs that are off by about as much as rounding: a box of one side only is a tie when one of those gains or
    loses it too. Rows without a box come last, and scores fall.
    """
    agreement = Agreement()
    draws: list[Boxes] = []
    for image, rows_D6 in enumerate(found_BD6):
        true_N6, here = _rows(expected, image), rows_D6[:, 5] >= 0
        found_M6 = rows_D6[here]
        disorder = int((found_M6[:, 4].diff() > 0).sum()) + int((here.int().diff() > 0).sum())
        padding = rows_D6[~here] - rows_D6.new_tensor([0, 0, 0, 0, 0, -1])
        lost, gained, near_NM = _unmatched(true_N6, found_M6)
        agreement += Agreement(
            compared=len(true_N6),
            probability=_largest((true_N6[:, None, 4] - found_M6[None, :, 4])[near_NM]),
            pixels=_largest((true_N6[:, None, :4] - found_M6[None, :, :4])[near_NM]),
            unmatched=disorder + int(padding.count_nonzero()),
        )
        if len(lost) or len(gained):
            draws = draws or [again(number) for number in range(DRAWS)]
            others = [_rows(draw, image) for draw in draws]
            steady = torch.stack([_near(lost, other).any(1) for other in others]).all(0)
            absent = ~torch.stack([_near(gained, other).any(1) for other in others]).any(0)
            faults = int(steady.sum() + absent.sum())
            agreement += Agreement(ties=len(lost) + len(gained) - faults, unmatched=faults)
    return agreement


DRAWS = 16
"""How often the checkpoint's outputs are disturbed to find out which boxes hang on rounding."""

_ROUNDING = 1e-5  # of a tensor's mean size: some ten times what runtimes differ by


def disturbed(outputs: tuple[Tensor, ...], number: int) -> tuple[Tensor, ...]:
    """Return a head's outputs with noise of the size of rounding on all that is of an image, a function of `number`."""
    generator = torch.Generator().manual_seed(number)
    images = len(outputs[0])
    return type(outputs)(
        *(
            value + _ROUNDING * value.abs().mean() * torch.randn(value.shape, generator=generator)
            if value.is_floating_point() and len(value) == images
            else value
            for value in outputs
        )
    )


def compare(expected: Prediction, found: Tensor, again: Callable[[int], Boxes]) -> Agreement:
    """Compare the results for one batch; `again` is read for boxes that one side alone has."""
    if isinstance(expected, Boxes):
        return of_boxes(expected, found, again)
    return of_probabilities(expected, found)


def _rows(boxes: Boxes, image: int) -> Tensor:
    of = boxes.image == image
    return torch.cat([boxes.boxes[of], boxes.score[of, None], boxes.label[of, None].to(boxes.score)], dim=1)


def _near(one_N6: Tensor, other_M6: Tensor) -> Tensor:
    """Return (N, M): which rows are the same detection up to the tolerances."""
    apart = (one_N6[:, None] - other_M6[None]).abs()
    return (apart[..., :4] <= PIXELS).all(-1) & (apart[..., 4] <= PROBABILITY) & (apart[..., 5] == 0)


def _unmatched(true_N6: Tensor, found_M6: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    near_NM = _near(true_N6, found_M6)
    return true_N6[~near_NM.any(1)], found_M6[~near_NM.any(0)], near_NM


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max()) if difference.numel() else 0.0


def _worse(one: float, other: float) -> float:
    """Return the larger number, and what is not a number before any."""
    return one if one != one or one > other else other
