"""Draw what a run sees: an augmented batch, and predictions beside the ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.geometry import Fit
from visionkit.data.module import DataModule
from visionkit.engine.setup import Setup
from visionkit.tasks.base import Task
from visionkit.tasks.grid import side_by_side
from visionkit.tasks.together import draw_together
from visionkit.types import COLOURS, Batch, Boxes, ClassScores, Image, MaskScores, Prediction

MAX_PICTURES = 12


def augmented_batch(setup: Setup, folder: Path) -> None:
    """Write `augmented_batch.png`: the first training batch with all its labels, as the network sees it."""
    drawn = draw_augmented(setup.data, setup.tasks, setup.module.class_names, MAX_PICTURES)
    if drawn is not None:
        write_image(folder / "augmented_batch.png", drawn)


def draw_augmented(
    data: DataModule, tasks: Mapping[str, Task], names: Mapping[str, tuple[str, ...]], count: int
) -> Image | None:
    """Return the first samples of the first training batch with their labels; None where none has labels."""
    return draw_batch(next(iter(data.train_dataloader())), tasks, names, count)


def draw_batch(
    batch: Batch, tasks: Mapping[str, Task], names: Mapping[str, tuple[str, ...]], count: int
) -> Image | None:
    """Return the first samples of a batch with their labels; None where none has labels."""
    drawn = [
        draw_together(image_of(batch.images, index), truth)
        for index in range(min(count, len(batch.images)))
        if (truth := truths(tasks, names, batch, index))
    ]
    return side_by_side([[one] for one in drawn], (), 4) if drawn else None


@torch.inference_mode()
def predictions(setup: Setup, folder: Path) -> None:
    """Write `predictions.png`: the first validation images, ground truth on the left and prediction on the right.

    All heads are in one picture; where a sample lacks labels of one, its ground truth does too.
    """
    batch = next(iter(setup.data.val_dataloader()))
    network = setup.module.network.eval().cpu()
    count = min(MAX_PICTURES, len(batch.images))
    decoded = network.decode(network(batch.images[:count]))
    unchanged = Fit(setup.data.size).place(*setup.data.size).restore
    names = setup.module.class_names
    pairs = []
    for index in range(count):
        if truth := truths(setup.tasks, names, batch, index):
            image = image_of(batch.images, index)
            found = [
                (task, task.result(one_of(decoded[head], index), names[head], unchanged))
                for head, task in setup.tasks.items()
            ]
            pairs.append((draw_together(image, truth), draw_together(image, found)))
    if pairs:
        write_image(folder / "predictions.png", side_by_side(pairs, ("ground truth", "prediction"), 3))


def truths(
    tasks: Mapping[str, Task], names: Mapping[str, tuple[str, ...]], batch: Batch, index: int
) -> list[tuple[Task, Any]]:
    """Return the ground truth of image `index` of each task that it carries labels of."""
    found = [(task, task.truth(batch, index, names[head])) for head, task in tasks.items()]
    return [(task, truth) for task, truth in found if truth is not None]


def image_of(images_BCHW: Tensor, index: int) -> Image:
    """Return one image of a batch as an array (H, W, 3) to be looked at."""
    array: NDArray[np.uint8] = images_BCHW[index].permute(1, 2, 0).contiguous().numpy()
    return visible(array)


def visible(image: Image) -> Image:
    """Return an image of any channels as RGB: the first three of several, else the first as grey."""
    if image.shape[2] < COLOURS:
        return image[..., :1].repeat(COLOURS, axis=2)
    return np.ascontiguousarray(image[..., :COLOURS])


def one_of(prediction: Prediction, index: int) -> Prediction:
    """Return the prediction of one image of a batch, as a batch of one."""
    if isinstance(prediction, ClassScores):
        return ClassScores(prediction.probabilities[index : index + 1])
    if isinstance(prediction, MaskScores):
        return MaskScores(prediction.logits[index : index + 1])
    own = prediction.image == index
    image = torch.zeros_like(prediction.image[own])
    return Boxes(prediction.boxes[own], prediction.score[own], prediction.label[own], image)


def write_image(path: Path, image: NDArray[Any]) -> None:
    """Write an RGB picture or an index mask, whatever characters its path has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, encoded = cv2.imencode(path.suffix, stored)
    if not done:
        raise ValueError(f"cannot write a picture as {path.suffix}")
    path.write_bytes(encoded.tobytes())
