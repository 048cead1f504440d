"""Score the best constant guess: what a network has to beat before its figure means anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from visionkit.tasks.base import Task
from visionkit.types import Batch, Prediction

MAX_BATCHES = 50
"""The guess is learned from so many training batches at most: a constant needs no more."""

Guess = Callable[[Batch], Prediction]


def learn(task: Task, class_names: tuple[str, ...], train: Iterable[Batch]) -> Guess:
    """Return the task's best constant guess after a look at unaugmented training batches."""
    return task.trivial(islice(train, MAX_BATCHES), class_names)


def scores(task: Task, class_names: tuple[str, ...], guess: Guess, batches: Iterable[Batch]) -> dict[str, float]:
    """Return the task's metrics for a guess over a split."""
    metric = task.metric(class_names)
    for batch in batches:
        task.update(metric, guess(batch), batch)
    return {name: float(value) for name, value in metric.compute().items()}
