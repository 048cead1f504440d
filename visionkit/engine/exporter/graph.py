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
    """What one output is."""

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
    """Normalisation, network and decoding: uint8 images (B, C, H, W) in, one float32 tensor a head out.

    A head of labels, one or several an image, gives `probabilities` (B, K). One of masks gives `probabilities`
    (B, K, H, W) and not the mask: the best class is one argmax away, while a finished mask could neither be enlarged
    smoothly to the user's image, which is what prediction does, nor be cut at a threshold. One of boxes gives
    `detections` (B, D, 6) after suppression, in pixels of the network's input. Of several heads comes a dict, by names
    such as `segmentation/probabilities`.

    Raises UserError for a head of boxes without `detections`.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.network
        self.channels = model.network.mean.shape[1]
        height, width = model.manifest["size"]
        self.size: tuple[int, int] = (height, width)
        names = model.class_names
        several = len(names) > 1
        self.outputs = {
            head: _output(self.head(head), f"{head}/" if several else "", len(own), self.size)
            for head, own in names.items()
        }
        """What comes out, by head."""

    def head(self, name: str) -> Head:
        """Return a head whose results come out."""
        return cast(Head, self.network.heads[name])

    def forward(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the results for uint8 images."""
        outputs = self.network(images)
        found = {out.name: _results(self.head(name), outputs[name]) for name, out in self.outputs.items()}
        return found if len(found) > 1 else next(iter(found.values()))


def _output(head: Head, prefix: str, num_classes: int, size: tuple[int, int]) -> Output:
    if head.kind == "boxes":
        if not isinstance(head, Detector):
            raise UserError(
                f"{type(head).__name__} cannot be exported: it has no method detections(outputs) that decodes to "
                "(B, max_detections, 6); FCOSHead shows one"
            )
        return Output(f"{prefix}detections", (head.max_detections, 6), ("detection", "x1 y1 x2 y2 score label"))
    if head.kind == "mask":
        return Output(f"{prefix}probabilities", (num_classes, *size), ("class", "height", "width"))
    return Output(f"{prefix}probabilities", (num_classes,), ("class",))


def _results(head: Head, outputs: Any) -> Tensor:
    if isinstance(head, Detector):
        return head.detections(outputs)
    prediction = head.decode(outputs)
    if isinstance(prediction, MaskScores):
        return prediction.logits.softmax(dim=1)
    if isinstance(prediction, ClassScores):
        return prediction.probabilities
    raise TypeError(f"{type(prediction).__name__} has no exported form")
