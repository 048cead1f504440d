"""Let rare classes be seen more often in training: how much images weigh, and an epoch drawn by their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from visionkit.data.records import Records
from visionkit.data.selection.shown import COUNTED, Shown, shown
from visionkit.errors import ConfigError

Weigh = Callable[[Records], NDArray[np.float64]]
"""Says how much each image weighs."""


def weigher(sampler: str, kinds: Sequence[str], repeat_threshold: float) -> Weigh | None:
    """Return what weighs the images under a `data.sampler`, by the classes of the first of `kinds` that tells them.

    None for `shuffle`, which takes every image once. Raises ConfigError for kinds that do not tell them.
    """
    if sampler == "shuffle":
        return None
    if not set(kinds) & set(COUNTED):
        raise ConfigError(
            f"data.sampler={sampler} has to know which classes an image shows, and masks tell it only once all of them "
            "are decoded; choose data.sampler=shuffle for this task"
        )
    if sampler == "balanced":
        return lambda records: balanced(shown(records, kinds))
    return lambda records: repeat_factors(shown(records, kinds), repeat_threshold)


def balanced(shown: Shown) -> NDArray[np.float64]:
    """Return weights by which every class is drawn equally often, an image counting for the rarest class it shows.

    Of equally rare classes it is the first. Images that show no class count as a class of their own. Where different
    kinds of labels tell of images, or none does, those of each kind together are drawn as often as without weights, and
    so are those of no kind, which count as one class.
    """
    count = np.bincount(shown.label, minlength=shown.num_classes)
    order = np.lexsort((shown.label, count[shown.label], shown.image))
    images, first = np.unique(shown.image[order], return_index=True)
    rarest = np.full(shown.num_images, shown.num_classes)
    rarest[images] = shown.label[order][first]
    weights = np.empty(shown.num_images)
    for group in _groups(shown):
        weights[group] = 1 / np.bincount(rarest[group])[rarest[group]]
    return _in_proportion(weights, shown)


def repeat_factors(shown: Shown, threshold: float) -> NDArray[np.float64]:
    """Return the repeat factor of each image: the largest max(1, sqrt(threshold / f)) of the classes that it shows.

    f is the fraction of the images that show a class, of those that are told of by the same kind of labels (Gupta,
    Dollar, Girshick: LVIS, 2019, section on "repeat factor sampling"; their threshold is 0.001). There an epoch is as
    long as the sum of the factors; here it keeps the number of images, so that the factors are weights: of each kind of
    labels by itself, as in `balanced`.
    """
    factors = np.ones(shown.num_images)
    for group in _groups(shown):
        counted = group[shown.image]
        image, label = shown.image[counted], shown.label[counted]
        fraction = np.bincount(label, minlength=shown.num_classes) / max(int(group.sum()), 1)
        np.maximum.at(factors, image, np.sqrt(threshold / fraction[label]))
    return _in_proportion(factors, shown)


def _groups(shown: Shown) -> list[NDArray[np.bool_]]:
    """Return which images each kind of labels tells of, and which none."""
    if shown.told is None:
        return [np.ones(shown.num_images, dtype=bool)]
    return [shown.told == kind for kind in np.unique(shown.told)]


def _in_proportion(weights: NDArray[np.float64], shown: Shown) -> NDArray[np.float64]:
    """Return weights whose mean is the same in each group; of one group as they are."""
    groups = _groups(shown)
    if len(groups) > 1:
        for group in groups:
            weights[group] /= weights[group].mean()
    return weights


def draw(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return as many indices as there are weights, each as often as its share of them says, rounded up or down.

    Systematic resampling: one random start and equal steps along the weights, which lie in random order.
    """
    number = len(weights)
    order = rng.permutation(number)
    ends = np.cumsum(weights[order])
    at = (np.arange(number) + rng.random()) * (ends[-1] / number)
    drawn = order[np.searchsorted(ends, np.minimum(at, np.nextafter(ends[-1], 0)), side="right")]
    return np.asarray(rng.permutation(drawn))
