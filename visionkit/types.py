"""Say what a batch, its targets, a feature level and a prediction are."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

IGNORE_INDEX: Final = 255
"""The mask value that no loss and no metric counts: void, padding, unlabelled."""

COLOURS: Final = 3
"""The channels of images that are not said to have others: red, green, blue."""

LABEL_KINDS: Final = ("labels", "multilabel", "mask", "boxes")
"""What a head can learn from; the columns of `Targets.present`, in this order."""

KIND_NOUNS: Final = {"labels": "image labels", "multilabel": "sets of labels", "mask": "masks", "boxes": "boxes"}
"""What a kind of label is called to a person."""


class Level(NamedTuple):
    """One feature map that a backbone or a neck announces.

    At image size (H, W) the map has the shape (B, channels, ceil(H / stride), ceil(W / stride)).
    """

    channels: int
    stride: int


class Targets(NamedTuple):
    """The ground truth of a batch of B images as flat tensors; None where the run has none.

    Boxes of all images are concatenated; `box_image` says which image each belongs to (ascending).
    They are absolute pixels x1 y1 x2 y2 of the network's input.
    """

    labels: Tensor | None = None  # (B,) int64
    multilabel: Tensor | None = None  # (B, K) float32, 0 or 1
    mask: Tensor | None = None  # (B, H, W) uint8, 255 = ignore
    boxes: Tensor | None = None  # (N, 4) float32
    box_label: Tensor | None = None  # (N,) int64, no background class
    box_image: Tensor | None = None  # (N,) int64, index into the batch
    box_ignore: Tensor | None = None  # (N,) bool: crowd or difficult, neither object nor background
    instance_masks: Tensor | None = None  # (N, H, W) bool, one a box
    present: Tensor | None = None  # (B, len(LABEL_KINDS)) bool: does the sample carry this kind of label?
    mixed_labels: Tensor | None = None  # (B,) int64: the label of the sample that is mixed into each
    mix: Tensor | None = None  # (B,) float32, 0 to 1: the share of the mixed label in what the sample shows


class Batch(NamedTuple):
    """What a loader yields."""

    images: Tensor  # (B, C, H, W) uint8
    targets: Targets
    ids: Tensor  # (B,) int64, the sample's index in its records: unique in a split
    sizes: Tensor  # (B, 2) int64, height and width of the user's image before any geometry


class ClassScores(NamedTuple):
    """Decoded classification: each class's probability; whether they sum to 1 is the head's to say."""

    probabilities: Tensor  # (B, K) float32


class MaskScores(NamedTuple):
    """Decoded segmentation at the size of the network's input."""

    logits: Tensor  # (B, K, H, W) float32


class Boxes(NamedTuple):
    """Decoded detections of a batch, flat, best score first within each image."""

    boxes: Tensor  # (N, 4) float32, absolute pixels x1 y1 x2 y2
    score: Tensor  # (N,) float32, 0 to 1
    label: Tensor  # (N,) int64
    image: Tensor  # (N,) int64, index into the batch, ascending


Prediction = ClassScores | MaskScores | Boxes

Image = NDArray[np.uint8]
"""(H, W, C) for images, RGB unless `data.channels` says otherwise; (H, W) for masks."""


class Classes(NamedTuple):
    """The class names of a data set, by kind; None where it has no labels of that kind."""

    labels: tuple[str, ...] | None = None  # of `labels` and `multilabel`
    mask: tuple[str, ...] | None = None  # index = mask value; a background is a class like any other
    boxes: tuple[str, ...] | None = None  # index = box label; no background


class Restore(Protocol):
    """The inverse of the geometry that brought one image to the network."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the user's image."""

    def boxes(self, boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map boxes in the network's pixels to the user's, clipped to the image."""

    def scores(self, scores_KHW: Tensor) -> NDArray[np.float32]:
        """Map (K, H, W) scores to (K, height, width) of the user's image, by linear interpolation."""
