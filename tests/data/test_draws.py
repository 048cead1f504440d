from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from tests.data.test_folds import of_labels, of_sets
from visionkit.data.records import Records
from visionkit.data.selection.draws import balanced, draw, repeat_factors, weigher
from visionkit.errors import ConfigError


def test_balanced_labels_weigh_the_same_in_every_class() -> None:
    weights = balanced(of_labels([0, 0, 0, 0, 1, 1, 2], 4))
    assert weights.tolist() == [0.25] * 4 + [0.5] * 2 + [1]


def test_balanced_sets_count_for_their_rarest_class() -> None:
    # Shown: class 0 by 4 images, class 1 by 2, class 2 by 2 (the first of equals, 1, goes before it); none by 1.
    weights = balanced(of_sets([{0}, {0}, {0, 1}, {1, 2}, {0, 2}, set()], 3))
    assert weights.tolist() == [0.5, 0.5, 0.5, 0.5, 1, 1]


def test_repeat_factors_are_those_of_the_paper() -> None:
    # f = 4/5, 2/5 and 1/5; the threshold 1/2 leaves the first as it is.
    factors = repeat_factors(of_sets([{0}, {0, 1}, {0, 1, 2}, {0}, set()], 3), 0.5)
    assert factors.tolist() == pytest.approx([1, sqrt(0.5 / 0.4), sqrt(0.5 / 0.2), 1, 1])
    assert repeat_factors(of_labels([0, 0, 1], 2), 0.001).tolist() == [1, 1, 1]


def test_images_without_labels_are_drawn_as_often_as_if_nothing_were_weighed() -> None:
    """Six images tell of classes, two by another kind of labels, four by none."""
    told = np.asarray([0] * 6 + [1] * 2 + [-1] * 4)
    some = of_labels([0, 0, 0, 0, 1, 1, 2, 3], 4)._replace(num_images=12, told=told)
    weights = balanced(some)
    alone = balanced(of_labels([0, 0, 0, 0, 1, 1], 2))
    assert weights[:6].tolist() == pytest.approx(alone / alone.mean())
    assert weights[6:].tolist() == pytest.approx([1] * 6)
    # Of the six f is 4/6 and 2/6, whatever others there are; each kind comes to its own number of images.
    factors = repeat_factors(some, 0.75)
    alone = repeat_factors(of_labels([0, 0, 0, 0, 1, 1], 2), 0.75)
    assert alone.tolist() == pytest.approx([sqrt(0.75 * 6 / 4)] * 4 + [sqrt(0.75 * 6 / 2)] * 2)
    assert factors[:6].tolist() == pytest.approx(alone / alone.mean())
    assert factors[6:].tolist() == pytest.approx([1] * 6)


@pytest.mark.parametrize("seed", range(30))
def test_everything_is_drawn_as_often_as_it_weighs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.random(int(rng.integers(1, 40))) ** 3
    weights[rng.random(len(weights)) < 0.2] = 0
    weights[rng.integers(len(weights))] = 1
    expected = len(weights) * weights / weights.sum()
    counts = np.bincount(draw(weights, np.random.default_rng(seed)), minlength=len(weights))
    assert counts.sum() == len(weights)
    assert (np.abs(counts - expected) < 1 + 1e-9).all()
    assert not counts[weights == 0].any()


def test_draws_come_up_to_their_expectation_in_no_order() -> None:
    weights = np.asarray([1.0, 2.0, 3.0, 0.5, 3.5])  # the sum is 10: 5 draws have 0.5, 1, 1.5, 0.25 and 1.75 of each
    rng = np.random.default_rng(0)
    drawn = np.asarray([draw(weights, rng) for _ in range(4000)])
    counts = np.apply_along_axis(np.bincount, 1, drawn, minlength=5)
    assert np.abs(counts.mean(0) - weights / 2).max() < 0.03
    places = [(drawn == 4)[:, place].mean() for place in range(5)]
    assert max(places) - min(places) < 0.05
    together = (
        (counts[:, 0] > 0) & (counts[:, 2] > 1)
    ).mean()  # 0.25 were they independent; neighbours would be 0 or 0.5
    assert 0.05 < together < 0.45


def test_nothing_is_drawn_at_the_edge_of_what_weighs_nothing() -> None:
    class AtZero(np.random.Generator):
        def random(self, *_: object, **__: object) -> float:  # type: ignore[override]
            return 0.0

    for seed in range(6):
        drawn = draw(np.asarray([0.0, 1.0, 1.0]), AtZero(np.random.PCG64(seed)))
        assert set(drawn.tolist()) == {1, 2}


def test_the_classes_are_those_of_the_task(records: Records) -> None:
    assert weigher("shuffle", ("mask",), 0.001) is None
    labels = np.asarray([0] * 8 + [1] * 2)
    weigh = weigher("balanced", ("labels",), 0.001)
    assert weigh is not None
    assert weigh(replace(records, labels=labels)).tolist() == [1 / 8] * 8 + [1 / 2] * 2
    factors = weigher("repeat_factor", ("boxes",), 0.9)
    assert factors is not None
    assert len(set(factors(records).tolist())) > 1
    with pytest.raises(ConfigError, match=r"data.sampler=balanced has to know .* choose data.sampler=shuffle"):
        weigher("balanced", ("mask",), 0.001)
