"""Say of each class by itself whether an image shows it, by a linear layer on the pooled coarsest map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.models.contracts import Head
from visionkit.models.heads.linear import LinearHead
from visionkit.models.heads.outputs import LabelOutputs
from visionkit.types import ClassScores, Level, Targets


class MultilabelHead(Head):
    """A `LinearHead` whose scores do not exclude each other: a sigmoid each, in place of a softmax over all.

    `dropout` and `auxiliary` are LinearHead's.
    """

    kind: ClassVar[str] = "multilabel"
    takes_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        dropout: float,
        auxiliary: float,
        loss: Loss,
        *,
        levels: Sequence[Level],
        num_classes: int,
        auxiliary_classifiers: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.linear = LinearHead(
            dropout,
            auxiliary,
            loss,
            levels=levels,
            num_classes=num_classes,
            auxiliary_classifiers=auxiliary_classifiers,
        )

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> LabelOutputs:
        """Return logits, in training those of the auxiliary classifiers too."""
        outputs: LabelOutputs = self.linear(features, image_size, targets)
        return outputs

    def loss(self, outputs: LabelOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss, those of the auxiliary classifiers weighted and summed by name."""
        return self.linear.loss(outputs, targets)

    def decode(self, outputs: LabelOutputs) -> ClassScores:
        """Return sigmoid probabilities."""
        return ClassScores(outputs.logits.float().sigmoid())
