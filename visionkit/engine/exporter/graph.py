"""Make a network with its decoding one module from images to results, all of whose shapes follow from the input's."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

from torch import Tensor, nn

from visionkit.engine.checkpoint import Model
from visionkit.errors import UserError
from visionkit.models.contracts import Head
from visionkit.types import ClassScores, MaskScores

INPUT = "images"
"""The name of the one input: uint8 (B, C, H, W), RGB unless chosen otherwise, at the network's size."""


class Output(NamedTuple):
    """What the one output is."""

    name: str
    shape: tuple[int, ...]  # behind the batch
    axes: tuple[str, ...]  # what each dimension behind the batch counts


@runtime_checkable
class Detector(Protocol):
    """A head whose decoding exists in a shape that does not depend on the data."""

    max_detections: int

    def detections(self, outputs: Any) -> Tensor:
        """Return (B, max_detections, 6) float32: x1 y1 x2 y2 score label, -1 as the label where there is no box."""


class Deployable(nn.Module):
    """Normalisation, network and decoding: uint8 images (B, C, H, W) in, one float32 tensor out.

    A head of labels, one or several an image, gives `probabilities` (B, K). One of masks gives `probabilities`
    (B, K, H, W) and not the mask: the best class is one argmax away, while a finished mask could neither be enlarged
    smoothly to the user's image, which is what prediction does, nor be cut at a threshold. One of boxes gives
    `detections` (B, D, 6) after suppression, in pixels of the network's input.

    Raises UserError for a network of several heads, or a head of boxes without `detections`.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        if len(model.tasks) != 1:
            raise UserError(f"the model has the heads {', '.join(model.tasks)}; export writes models of one head")
        (self.name,) = model.tasks
        self.network = model.network
        self.channels = model.network.mean.shape[1]
        height, width = model.manifest["size"]
        self.size: tuple[int, int] = (height, width)
        num_classes = len(model.class_names[self.name])
        head = self.head
        if head.kind == "boxes":
            if not isinstance(head, Detector):
                raise UserError(
                    f"{type(head).__name__} cannot be exported: it has no method detections(outputs) that decodes to "
                    "(B, max_detections, 6); FCOSHead shows one"
                )
            self.output = Output("detections", (head.max_detections, 6), ("detection", "x1 y1 x2 y2 score label"))
        elif head.kind == "mask":
            self.output = Output("probabilities", (num_classes, height, width), ("class", "height", "width"))
        else:
            self.output = Output("probabilities", (num_classes,), ("class",))

    @property
    def head(self) -> Head:
        """The head whose results come out."""
        return cast(Head, self.network.heads[self.name])

    def forward(self, images: Tensor) -> Tensor:
        """Return the results for uint8 images."""
        head, outputs = self.head, self.network(images)[self.name]
        if isinstance(head, Detector):
            return head.detections(outputs)
        prediction = head.decode(outputs)
        if isinstance(prediction, MaskScores):
            return prediction.logits.softmax(dim=1)
        if isinstance(prediction, ClassScores):
            return prediction.probabilities
        raise TypeError(f"{type(prediction).__name__} has no exported form")
