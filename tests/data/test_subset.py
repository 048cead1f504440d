from __future__ import annotations

import numpy as np
import pytest

from tests.data.test_folds import of_labels, of_sets
from visionkit.data.selection.folds import by_digest
from visionkit.data.selection.subset import few


def names_of(number: int) -> list[str]:
    return [f"{index}.png" for index in range(number)]


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 9, 10, 11])
def test_labels_are_chosen_evenly_and_the_smaller_choice_is_within_the_larger(limit: int) -> None:
    labels = np.asarray([0] * 6 + [1] * 3 + [2] * 1)
    chosen = few(names_of(10), of_labels(labels.tolist(), 3), limit)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    counts = np.bincount(labels[chosen], minlength=3)
    assert counts.sum() == min(limit, 10)
    # As even as what there is allows: a class has fewer than another only when it is used up, or by one.
    for count, there in zip(counts, (6, 3, 1), strict=True):
        assert count == there or count >= counts.max() - 1
    assert set(few(names_of(10), of_labels(labels.tolist(), 3), limit - 1)) < set(chosen) or limit == 11


def test_within_a_class_the_digest_decides() -> None:
    names = names_of(8)
    first = [int(index) for index in by_digest(names)]
    assert few(names, of_labels([0] * 8, 1), 3).tolist() == sorted(first[:3])
    assert few(names, of_sets([set()] * 8, 0), 3).tolist() == sorted(first[:3])


@pytest.mark.parametrize("seed", range(20))
def test_sets_follow_the_rule_taken_literally(seed: int) -> None:
    rng = np.random.default_rng(seed)
    number, num_classes = int(rng.integers(1, 30)), int(rng.integers(1, 6))
    sets = [set(np.flatnonzero(rng.random(num_classes) < 0.3).tolist()) for _ in range(number)]
    names = names_of(number)
    order = by_digest(names).tolist()
    shows = [labels or {num_classes} for labels in sets]
    left, count, chosen = list(order), [0] * (num_classes + 1), []
    while left:
        candidates = [(count[label], order.index(image), label)
                      for label in range(num_classes + 1)
                      for image in [next((image for image in left if label in shows[image]), None)]
                      if image is not None]  # fmt: skip
        image = order[min(candidates)[1]]
        left.remove(image)
        chosen.append(image)
        for label in shows[image]:
            count[label] += 1
    for limit in range(1, number + 2):
        assert few(names, of_sets(sets, num_classes), limit).tolist() == sorted(chosen[:limit])
