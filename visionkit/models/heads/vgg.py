"""Classify images of one size by fully connected layers on the whole coarsest map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.models.contracts import Head
from visionkit.models.heads.outputs import LabelOutputs
from visionkit.types import ClassScores, Level, Targets


class VGGHead(Head):
    """Flattening, then fully connected layers with ReLU and dropout, then a linear one.

    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition (2015), section 2.1.
    `hidden` are the widths of the layers, `dropout` the share (0 to 1) of their outputs that training leaves out.
    `input_size` (pixels, one number or [height, width]) is the only one that it takes: the weights count the cells. It
    is a multiple of the coarsest stride, where a map has the same cells whether sizes round up or down. Weights are
    drawn as for convolutions (He et al. 2015), while the paper draws all with a deviation of 0.01, which is too small
    for inputs much smaller than its own.

    Raises ValueError for another size and for widths below 1.
    """

    kind: ClassVar[str] = "labels"

    def __init__(
        self,
        hidden: Sequence[int],
        dropout: float,
        input_size: int | Sequence[int],
        loss: Loss,
        *,
        levels: Sequence[Level],
        num_classes: int,
    ) -> None:
        super().__init__()
        if any(width < 1 for width in hidden):
            raise ValueError(f"head.hidden={list(hidden)}; widths are whole numbers of at least 1")
        channels, stride = levels[-1]
        self.input_size = _sides(input_size, stride)
        self.cells = (self.input_size[0] // stride, self.input_size[1] // stride)
        self.coarsest = len(levels) - 1
        width = channels * self.cells[0] * self.cells[1]
        layers: list[nn.Module] = []
        for wider in hidden:
            layers += [nn.Linear(width, wider), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            width = wider
        for layer in layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.classifier = nn.Sequential(*layers, nn.Linear(width, num_classes))
        self.criterion = loss

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> LabelOutputs:
        """Return logits. Raises ValueError for images of another size."""
        coarsest = features[self.coarsest]
        if tuple(coarsest.shape[-2:]) != self.cells:
            height, width = self.input_size
            cells = " x ".join(str(side) for side in coarsest.shape[-2:])
            raise ValueError(
                f"images of {image_size[0]} x {image_size[1]} pixels give head=vgg a map of {cells} cells, but it was "
                f"built for {height} x {width} pixels and {self.cells[0]} x {self.cells[1]} cells (head.input_size); "
                "give images of that size, with backbone.padding=same where the backbone trims its maps"
            )
        logits = self.classifier(coarsest.flatten(1))
        return LabelOutputs(logits, logits.new_zeros(0, *logits.shape))

    def loss(self, outputs: LabelOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss."""
        return self.criterion(outputs.logits, targets)

    def decode(self, outputs: LabelOutputs) -> ClassScores:
        """Return softmax probabilities."""
        return ClassScores(outputs.logits.float().softmax(dim=-1))


def _sides(size: int | Sequence[int], stride: int) -> tuple[int, int]:
    """Return (height, width) in pixels; raise ValueError for what is no multiple of `stride`."""
    both = [size, size] if isinstance(size, int) else list(size)
    if len(both) != 2 or any(side < 1 for side in both):
        raise ValueError(f"head.input_size={size}; it is one number of pixels or [height, width]")
    if wrong := [side for side in both if side % stride]:
        down, up = wrong[0] // stride * stride, -(-wrong[0] // stride) * stride
        raise ValueError(
            f"head.input_size={size}, the size of the images, does not fit head=vgg, which needs multiples of "
            f"{stride}, the backbone's coarsest stride: in place of {wrong[0]} give {f'{down} or ' if down else ''}{up}"
        )
    return both[0], both[1]
