"""Classify whole images: one label each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch

from visionkit.tasks.base import Task
from visionkit.tasks.drawing import with_bars
from visionkit.tasks.palette import colour
from visionkit.types import Batch, Classes, ClassScores, Image, Restore

if TYPE_CHECKING:
    from torchmetrics import Metric, MetricCollection

_TOP = 3  # classes that a picture names


class Classification(NamedTuple):
    """What an image shows."""

    label: str
    probability: float  # of `label`, 0 to 1
    probabilities: dict[str, float]  # of every class, in the order of the data set


class ClassificationTask(Task):
    """One label an image; measured by accuracy, macro averages and calibration."""

    kind: ClassVar[str] = "labels"
    metric_names: ClassVar[tuple[str, ...]] = ("accuracy", "accuracy_macro", "f1_macro")

    def __init__(self, monitor: str = "accuracy") -> None:
        super().__init__(monitor)

    def class_names(self, classes: Classes) -> tuple[str, ...]:
        """Return the names of the image labels. Raises ValueError when the data set has none."""
        if not classes.labels:
            raise ValueError("task=classification needs image labels, but the data set has none; choose another data=")
        return classes.labels

    def metric(self, class_names: tuple[str, ...]) -> MetricCollection:
        """Return accuracy, accuracy_macro, f1_macro and ECE."""
        from visionkit.metrics.classification import class_metrics

        return class_metrics(len(class_names))

    def update(self, metric: Metric | MetricCollection, prediction: ClassScores, batch: Batch) -> None:
        """Feed the labelled samples of a batch."""
        keep = self.labelled(batch)
        if batch.targets.labels is not None and keep.any():
            metric.update(prediction.probabilities[keep], batch.targets.labels[keep])

    def trivial(self, batches: Iterable[Batch], class_names: tuple[str, ...]) -> Callable[[Batch], ClassScores]:
        """Guess the commonest class, with the classes' shares of the training images as probabilities.

        Raises:
            ValueError: No training image has a label.
        """
        counts = torch.zeros(len(class_names))
        for batch in batches:
            if batch.targets.labels is not None:
                labels = batch.targets.labels[self.labelled(batch)]
                counts += torch.bincount(labels.cpu(), minlength=len(class_names))
        if not counts.any():
            raise ValueError("no training image has a label, so there is no commonest class")
        shares = counts / counts.sum()

        def guess(batch: Batch) -> ClassScores:
            return ClassScores(shares.to(batch.images.device).repeat(len(batch.images), 1))

        return guess

    def truth(self, batch: Batch, index: int, class_names: tuple[str, ...]) -> Classification | None:
        """Return the label of image `index`, with probability 1, or of an image mixed of two the share of each."""
        targets = batch.targets
        if targets.labels is None or not self.labelled(batch)[index]:
            return None
        shares = dict.fromkeys(class_names, 0.0)
        mixed = 0.0 if targets.mix is None else float(targets.mix[index])
        shares[class_names[int(targets.labels[index])]] += 1 - mixed
        if targets.mixed_labels is not None:
            shares[class_names[int(targets.mixed_labels[index])]] += mixed
        label = max(shares, key=lambda name: shares[name])
        return Classification(label, shares[label], shares)

    def result(self, prediction: ClassScores, class_names: tuple[str, ...], restore: Restore) -> Classification:
        """Return the likeliest class and the probability of each."""
        values = prediction.probabilities[0].float().cpu().tolist()
        best = max(range(len(values)), key=values.__getitem__)
        return Classification(class_names[best], values[best], dict(zip(class_names, values, strict=True)))

    def caption(self, picture: Image, result: Classification) -> Image:
        """Return the picture above the likeliest classes."""
        rows = [(name, p, colour(i)) for i, (name, p) in enumerate(result.probabilities.items())]
        rows.sort(key=lambda row: -row[1])
        rows = rows[:1] + [row for row in rows[1:_TOP] if row[1] > 0]  # the truth has one class only
        return with_bars(picture, rows)

    def as_json(self, result: Classification) -> dict[str, Any]:
        """Return label, probability and the probability of every class."""
        return result._asdict()
