"""Plant faults into a trained model that a figure has to notice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.engine.checkpoint import Model
from visionkit.models.network import Network
from visionkit.types import LABEL_KINDS, Boxes, ClassScores, MaskScores, Prediction

SWAPPED = ("1", "7")
"""The names of the classes that are taken for each other."""

SHIFT = 4
"""Pixels by which boxes are shifted."""

Change = Callable[[Prediction, tuple[str, ...]], Prediction]
"""Takes the prediction of a batch and the class names; returns the faulty prediction."""


class Fault(NamedTuple):
    """Something wrong: a name for the table, the label kinds it concerns, and what makes a sound model faulty."""

    name: str
    kinds: tuple[str, ...]
    plant: Callable[[Model], Model]


class Changed(nn.Module):
    """A network whose decoded predictions are changed."""

    def __init__(self, network: nn.Module, class_names: Mapping[str, tuple[str, ...]], change: Change) -> None:
        super().__init__()
        self.network = network
        self.mean = cast(Network, network).mean
        self._class_names = class_names
        self._change = change

    def forward(self, images: Tensor) -> dict[str, Any]:
        """Return the sound network's outputs."""
        return cast(dict[str, Any], self.network(images))

    def decode(self, outputs: Mapping[str, Any]) -> dict[str, Prediction]:
        """Return the changed predictions."""
        sound = cast(Network, self.network).decode(outputs)
        return {name: self._change(prediction, self._class_names[name]) for name, prediction in sound.items()}


def shift_boxes(prediction: Prediction, names: tuple[str, ...]) -> Boxes:
    """Return the boxes `SHIFT` pixels farther right and down."""
    boxes = cast(Boxes, prediction)
    return boxes._replace(boxes=boxes.boxes + SHIFT)


def shift_masks(prediction: Prediction, names: tuple[str, ...], pixels: int) -> MaskScores:
    """Return the masks `pixels` farther right and down; the first row and column are repeated."""
    logits = cast(MaskScores, prediction).logits
    height, width = logits.shape[-2:]
    return MaskScores(F.pad(logits, (pixels, 0, pixels, 0), mode="replicate")[..., :height, :width])


def swap_classes(prediction: Prediction, names: tuple[str, ...]) -> Prediction:
    """Return the prediction with the two classes `SWAPPED` in each other's place."""
    one, other = (names.index(name) for name in SWAPPED)
    order = torch.arange(len(names))
    order[one], order[other] = other, one
    if isinstance(prediction, ClassScores):
        return ClassScores(prediction.probabilities[:, order])
    if isinstance(prediction, MaskScores):
        return MaskScores(prediction.logits[:, order])
    return prediction._replace(label=order.to(prediction.label)[prediction.label])


def changed(model: Model, change: Change) -> Model:
    """Return the model with a fault behind its decoding."""
    return model._replace(network=cast(Network, Changed(model.network, model.class_names, change)))


def shift_one_cell(model: Model) -> Model:
    """Return the model with masks shifted by one cell of its finest level."""
    return changed(model, partial(shift_masks, pixels=model.network.backbone.levels[0].stride))


def normalised(model: Model, std: float) -> Model:
    """Return the model with mean 0 and another std, in the scale of uint8."""
    network = copy.deepcopy(model.network)
    network.mean.zero_()
    network.std.fill_(std)
    return model._replace(network=network)


_ALL = LABEL_KINDS

FAULTS = (
    Fault(f"boxes {SHIFT} px too far right and down", ("boxes",), partial(changed, change=shift_boxes)),
    Fault("masks one cell too far right and down", ("mask",), shift_one_cell),
    Fault(f"classes {' and '.join(SWAPPED)} exchanged", _ALL, partial(changed, change=swap_classes)),
    Fault("images of 0 to 1, mean and std left out", _ALL, partial(normalised, std=255.0)),
    Fault("images of 0 to 255, not normalised at all", _ALL, partial(normalised, std=1.0)),
)
"""The faults, cheap ones to make: each has happened to somebody's exported model."""
