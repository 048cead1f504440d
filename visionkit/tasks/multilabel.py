"""Find what is in whole images: any number of labels each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch

from visionkit.tasks.base import Task
from visionkit.tasks.drawing import Colour, with_bars
from visionkit.tasks.palette import colour
from visionkit.types import Batch, Classes, ClassScores, Image, Restore

if TYPE_CHECKING:
    from torchmetrics import Metric, MetricCollection

_FEWEST, _MOST = 3, 12  # classes that a picture of a prediction names
_NOT_FOUND: Colour = (128, 132, 138)


class Multilabel(NamedTuple):
    """What is in an image."""

    labels: dict[str, float]  # what was found, likeliest first, with its probability, 0 to 1
    probabilities: dict[str, float]  # of every class by itself, in the order of the data set


class MultilabelTask(Task):
    """Any number of labels an image; measured by average precision and F1.

    `threshold` is the probability, 0 to 1, from which on a class counts as found in results, pictures and F1; mAP
    knows none.
    """

    kind: ClassVar[str] = "multilabel"
    metric_names: ClassVar[tuple[str, ...]] = ("mAP", "f1_macro", "f1_micro")

    def __init__(self, threshold: float, monitor: str = "mAP") -> None:
        super().__init__(monitor)
        if not 0 <= threshold <= 1:
            raise ValueError(f"task.threshold={threshold} is no probability; give a number from 0 to 1")
        self.threshold = threshold

    def class_names(self, classes: Classes) -> tuple[str, ...]:
        """Return the names of the image labels. Raises ValueError when the data set has none."""
        if not classes.labels:
            raise ValueError("task=multilabel needs image labels, but the data set has none; choose another data=")
        return classes.labels

    def metric(self, class_names: tuple[str, ...]) -> Metric:
        """Return mAP, f1_macro and f1_micro."""
        from visionkit.metrics.multilabel import MultilabelMetrics

        return MultilabelMetrics(len(class_names), self.threshold)

    def update(self, metric: Metric | MetricCollection, prediction: ClassScores, batch: Batch) -> None:
        """Feed the labelled samples of a batch."""
        keep = self.labelled(batch)
        if batch.targets.multilabel is not None and keep.any():
            metric.update(prediction.probabilities[keep], batch.targets.multilabel[keep])

    def trivial(self, batches: Iterable[Batch], class_names: tuple[str, ...]) -> Callable[[Batch], ClassScores]:
        """Guess each class with its share of the training images.

        Raises:
            ValueError: No training image carries labels.
        """
        counts, images = torch.zeros(len(class_names)), 0
        for batch in batches:
            if batch.targets.multilabel is not None:
                keep = self.labelled(batch)
                counts += batch.targets.multilabel[keep].sum(0).cpu()
                images += int(keep.sum())
        if not images:
            raise ValueError("no training image carries labels, so there are no shares of the classes")
        shares = counts / images

        def guess(batch: Batch) -> ClassScores:
            return ClassScores(shares.to(batch.images.device).repeat(len(batch.images), 1))

        return guess

    def truth(self, batch: Batch, index: int, class_names: tuple[str, ...]) -> Multilabel | None:
        """Return the labels of image `index`, with probability 1."""
        if batch.targets.multilabel is None or not self.labelled(batch)[index]:
            return None
        return _of(dict(zip(class_names, batch.targets.multilabel[index].tolist(), strict=True)), 1.0)

    def result(self, prediction: ClassScores, class_names: tuple[str, ...], restore: Restore) -> Multilabel:
        """Return the classes that were found, and the probability of each."""
        values = prediction.probabilities[0].float().cpu().tolist()
        return _of(dict(zip(class_names, values, strict=True)), self.threshold)

    def caption(self, picture: Image, result: Multilabel) -> Image:
        """Return the picture above what was found and, in grey, the next likeliest; by itself if there is nothing."""
        rows = [
            (name, p, colour(i) if name in result.labels else _NOT_FOUND)
            for i, (name, p) in enumerate(result.probabilities.items())
            if p > 0
        ]
        rows.sort(key=lambda row: -row[1])
        rows = rows[: min(max(len(result.labels), _FEWEST), _MOST)]
        return with_bars(picture, rows) if rows else picture

    def as_json(self, result: Multilabel) -> dict[str, Any]:
        """Return the labels found and the probability of every class."""
        return result._asdict()


def _of(probabilities: dict[str, float], threshold: float) -> Multilabel:
    found = [name for name, p in probabilities.items() if p >= threshold]
    found.sort(key=lambda name: -probabilities[name])
    return Multilabel({name: probabilities[name] for name in found}, probabilities)
