"""Detect objects: boxes with a class and a score."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.tasks.base import Task
from visionkit.tasks.box_drawing import draw_boxes
from visionkit.tasks.palette import colour
from visionkit.types import Batch, Boxes, Classes, Image, Restore, Targets

if TYPE_CHECKING:
    from torchmetrics import Metric, MetricCollection


class Detection(NamedTuple):
    """The objects found in an image, best score first."""

    boxes: NDArray[np.float32]  # (N, 4) pixels x1 y1 x2 y2
    labels: tuple[str, ...]
    scores: NDArray[np.float32]  # (N,) 0 to 1
    indices: NDArray[np.int64]  # (N,) class index


class DetectionTask(Task):
    """Boxes with classes; measured by COCO mAP.

    `threshold` is the score, 0 to 1, below which a result leaves a box out; the metric sees all boxes.
    """

    kind: ClassVar[str] = "boxes"
    metric_names: ClassVar[tuple[str, ...]] = ("mAP", "mAP_50", "mAP_75", "mAR_100")

    def __init__(self, threshold: float, monitor: str = "mAP_50") -> None:
        super().__init__(monitor)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be a score from 0 to 1; got {threshold}")
        self.threshold = threshold

    def class_names(self, classes: Classes) -> tuple[str, ...]:
        """Return the names of the box classes. Raises ValueError when the data set has none."""
        if not classes.boxes:
            raise ValueError("task=detection needs boxes, but the data set has none; choose another data=")
        return classes.boxes

    def metric(self, class_names: tuple[str, ...]) -> Metric:
        """Return mAP, mAP_50, mAP_75, mAP by size of object, and mAR_100."""
        from visionkit.metrics.coco import CocoMAP

        return CocoMAP()

    def update(self, metric: Metric | MetricCollection, prediction: Boxes, batch: Batch) -> None:
        """Feed the labelled samples of a batch, in pixels of the network's input."""
        keep = self.labelled(batch)
        if batch.targets.boxes is None or not keep.any():
            return
        boxes, label, image, ignore = _truth(batch.targets)
        number = keep.cumsum(0) - 1  # of an image among those kept
        found, true = keep[prediction.image], keep[image]
        metric.update(
            prediction.boxes[found],
            prediction.score[found],
            prediction.label[found],
            number[prediction.image[found]],
            boxes[true],
            label[true],
            ignore[true],
            number[image[true]],
            batch.ids[keep],
        )

    def trivial(self, batches: Iterable[Batch], class_names: tuple[str, ...]) -> Callable[[Batch], Boxes]:
        """Guess one object of the commonest class in every image: the median of its boxes, with score 1.

        Raises:
            ValueError: There is no training box.
        """
        all_boxes, all_labels = [torch.empty(0, 4)], [torch.empty(0, dtype=torch.long)]
        for batch in batches:
            if batch.targets.boxes is not None:
                boxes, label, image, ignore = _truth(batch.targets)
                keep = self.labelled(batch)[image] & ~ignore
                all_boxes.append(boxes[keep].cpu())
                all_labels.append(label[keep].cpu())
        labels = torch.cat(all_labels)
        if not len(labels):
            raise ValueError("there is no training box, so there is no commonest class")
        commonest = torch.bincount(labels).argmax()
        box = torch.cat(all_boxes)[labels == commonest].median(dim=0).values

        def guess(batch: Batch) -> Boxes:
            count, device = len(batch.images), batch.images.device
            return Boxes(
                boxes=box.to(device).repeat(count, 1),
                score=torch.ones(count, device=device),
                label=commonest.to(device).repeat(count),
                image=torch.arange(count, device=device),
            )

        return guess

    def truth(self, batch: Batch, index: int, class_names: tuple[str, ...]) -> Detection | None:
        """Return the boxes of image `index` with score 1; the name of one that is to be ignored says so."""
        if batch.targets.boxes is None or not self.labelled(batch)[index]:
            return None
        boxes, label, image, ignore = (value.cpu() for value in _truth(batch.targets))
        rows = image == index
        names = (
            f"{class_names[k]} (ignored)" if crowd else class_names[k]
            for k, crowd in zip(label[rows].tolist(), ignore[rows].tolist(), strict=True)
        )
        return Detection(
            boxes[rows].float().numpy(), tuple(names), np.ones(int(rows.sum()), dtype=np.float32), label[rows].numpy()
        )

    def result(self, prediction: Boxes, class_names: tuple[str, ...], restore: Restore) -> Detection:
        """Return the boxes whose score reaches the threshold, in the user's pixels."""
        keep = (prediction.score >= self.threshold) & (prediction.image == 0)
        indices = prediction.label[keep].cpu().numpy()
        return Detection(
            restore.boxes(prediction.boxes[keep].float().cpu().numpy()),
            tuple(class_names[k] for k in indices.tolist()),
            prediction.score[keep].float().cpu().numpy(),
            indices,
        )

    def paint(self, canvas: Image, factor: int, result: Detection) -> Image:
        """Return the picture with boxes and tags; a score of exactly 1 is not written."""
        texts = [
            name if score == 1 else f"{name} {score:.2f}"
            for name, score in zip(result.labels, result.scores.tolist(), strict=True)
        ]
        return draw_boxes(canvas, factor * result.boxes, texts, [colour(k) for k in result.indices.tolist()])

    def as_json(self, result: Detection) -> dict[str, Any]:
        """Return one entry an object: label, score, box [x1, y1, x2, y2] in pixels."""
        rows = zip(result.labels, result.scores.tolist(), result.boxes.tolist(), strict=True)
        return {"objects": [{"label": label, "score": score, "box": box} for label, score, box in rows]}


def _truth(targets: Targets) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return boxes, label, image and ignore of the ground truth.

    Raises:
        ValueError: Boxes come without a label or an image.
    """
    if targets.boxes is None or targets.box_label is None or targets.box_image is None:
        raise ValueError("targets with boxes need box_label and box_image as well")
    ignore = targets.box_ignore
    if ignore is None:
        ignore = torch.zeros_like(targets.box_label, dtype=torch.bool)
    return targets.boxes, targets.box_label, targets.box_image, ignore
