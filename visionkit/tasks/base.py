"""State what a task says: its label kind, metrics, monitor, pictures and result format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from visionkit.types import LABEL_KINDS, Batch, Classes, Image, Prediction, Restore

if TYPE_CHECKING:  # torchmetrics takes seconds to import and prediction does without it
    from torchmetrics import Metric, MetricCollection


class Task(ABC):
    """What differs between tasks; the step, the loop and the commands are the same for all.

    Its constructor arguments are the `task` node of the config: settings such as the score threshold.
    """

    kind: ClassVar[str]
    """The entry of `LABEL_KINDS` that it learns from; a head of the same kind goes with it."""

    metric_names: ClassVar[tuple[str, ...]]
    """What can pick the best checkpoint: the names out of `metric` for which larger is better."""

    def __init__(self, monitor: str) -> None:
        if monitor not in self.metric_names:
            raise ValueError(f"task.monitor={monitor} is not measured; choose one of {', '.join(self.metric_names)}")
        self.monitor = monitor
        """The metric that picks the best checkpoint, without a `val/` prefix."""

    @abstractmethod
    def class_names(self, classes: Classes) -> tuple[str, ...]:
        """Pick this task's class names out of a data set's. Raises ValueError when it has none."""

    @abstractmethod
    def metric(self, class_names: tuple[str, ...]) -> Metric | MetricCollection:
        """Return one torchmetrics metric whose `compute` gives a dict of named scalars, `monitor` among them."""

    @abstractmethod
    def update(self, metric: Metric | MetricCollection, prediction: Any, batch: Batch) -> None:
        """Feed one batch; samples without labels of this kind do not count."""

    @abstractmethod
    def trivial(self, batches: Iterable[Batch], class_names: tuple[str, ...]) -> Callable[[Batch], Prediction]:
        """Learn the best constant guess from training batches: the score that a network has to beat."""

    @abstractmethod
    def truth(self, batch: Batch, index: int, class_names: tuple[str, ...]) -> Any:
        """Return image `index`'s ground truth in the form that `draw` takes, in pixels of the network's input.

        None where the sample carries no labels of this kind.
        """

    @abstractmethod
    def result(self, prediction: Any, class_names: tuple[str, ...], restore: Restore) -> Any:
        """Turn the prediction of a batch of one image into what a user gets, in the pixels of the user's image."""

    def draw(self, image: Image, result: Any) -> Image:
        """Draw a result on a copy of the user's image (RGB), enlarged if tiny."""
        from visionkit.tasks.drawing import enlarge  # OpenCV, which a summary does without

        canvas, factor = enlarge(image)
        return self.caption(self.paint(canvas, factor, result), result)

    def paint(self, canvas: Image, factor: int, result: Any) -> Image:
        """Return a copy of the picture, `factor` times as large as the user's, with what has a place in it."""
        return canvas

    def caption(self, picture: Image, result: Any) -> Image:
        """Return a picture above what is to be said of the whole, as `with_bars` and `with_legend` write it."""
        return picture

    @abstractmethod
    def as_json(self, result: Any) -> dict[str, Any]:
        """Return plain data for a JSON file; arrays too large for one are left to `files`."""

    def files(self, result: Any) -> dict[str, Image]:
        """Return pictures that belong to the result itself, by name: a mask as an index PNG."""
        return {}

    def labelled(self, batch: Batch) -> Tensor:
        """Return which samples of the batch carry labels of this kind: (B,) bool."""
        present = batch.targets.present
        if present is None:
            return batch.ids.new_ones(len(batch.ids), dtype=torch.bool)
        return present[:, LABEL_KINDS.index(self.kind)]
