"""The suggested rate on curves whose answer is known, the quadratic's stable limit above all."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from visionkit.engine.tuning.rule import Curve, diverges, rates, smooth, suggest

RATES = rates()


def curve(losses: list[float], start: float, diverged: float | None = None) -> Curve:
    return Curve(RATES[: len(losses)], tuple(losses), start, diverged)


def quadratic(curvature: float) -> Curve:
    """Run the test on the loss curvature / 2 * w^2 by plain gradient descent, as training does it."""
    weight, losses = 3.0, [curvature / 2 * 9]
    for rate in RATES:
        weight -= rate * curvature * weight
        losses.append(curvature / 2 * weight**2)
        if diverges(losses):
            return curve(losses[1:], losses[0], rate)
    return curve(losses[1:], losses[0])


def test_the_rates_are_decades_and_what_lies_between() -> None:
    assert RATES[0] == pytest.approx(1e-6)
    assert RATES[-1] == pytest.approx(10)
    assert len(RATES) == 7 * 15 + 1
    for low, high in pairwise(RATES):
        assert high / low == pytest.approx(10 ** (1 / 15))


@pytest.mark.parametrize("limit", [3e-3, 0.03, 0.13, 0.9])
def test_a_quadratic_gets_a_third_of_its_stable_limit(limit: float) -> None:
    seen = quadratic(2 / limit)
    lowest = min(range(len(seen.losses)), key=seen.losses.__getitem__)
    assert seen.rates[lowest] <= limit < seen.rates[lowest + 1]
    rate = suggest(seen).rate
    assert rate is not None
    assert limit / 10**0.5 < 3 * rate <= limit


def test_a_quadratic_ends_behind_its_limit() -> None:
    diverged = quadratic(2 / 0.03).diverged
    assert diverged is not None
    assert 0.03 < diverged < 1


def test_a_noisy_bowl_of_many_curvatures_gets_a_third_of_the_sharpest_limit() -> None:
    # Half a thousand directions, curvatures 0.2 to 20, and a loss of 1 that nothing takes away: the limit is 0.1.
    rng = random.Random(1)
    curvatures = [20 * 100 ** (-number / 499) for number in range(500)]
    weights, losses = [rng.gauss(0, 0.1) for _ in curvatures], [0.0]
    for rate in RATES:
        weights = [w - rate * c * (w + rng.gauss(0, 0.02)) for w, c in zip(weights, curvatures, strict=True)]
        losses.append(1 + sum(c / 2 * w**2 for w, c in zip(weights, curvatures, strict=True)) + rng.gauss(0, 0.3))
    losses[0] = losses[1]
    rate = suggest(curve(losses[1:], losses[0])).rate
    assert rate is not None
    assert 0.02 < 3 * rate <= 0.1


def test_a_curve_with_its_lowest_point_in_the_middle() -> None:
    rng = random.Random(0)
    losses = [2 + (math.log10(rate) + 2) ** 2 / 8 + rng.gauss(0, 0.05) for rate in RATES]
    found = suggest(curve(losses, losses[0]))
    assert found.rate == pytest.approx(1e-2 / 3, rel=0.6)
    assert RATES[found.lowest] == pytest.approx(3 * found.rate)


def test_smoothing_neither_lags_nor_shrinks_at_the_ends() -> None:
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)
    spike = smooth([0.0] * 10 + [1.0] + [0.0] * 10)
    assert max(range(21), key=spike.__getitem__) == 10
    assert spike == pytest.approx(spike[::-1])
    assert spike[14] / spike[10] == pytest.approx(math.exp(-1 / 2), rel=0.05)  # a standard deviation away
    near = math.exp(-1 / 32)
    assert smooth([1.0, 4.0]) == pytest.approx([(1 + 4 * near) / (1 + near), (near + 4) / (1 + near)])


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_that_falls_nowhere_gives_no_rate(seed: int) -> None:
    rng = random.Random(seed)
    flat = [2.3 + rng.gauss(0, 0.1) for _ in RATES]
    assert suggest(curve(flat, 2.3)).rate is None
    assert suggest(curve([], math.nan)).rate is None


def test_what_a_diverged_loss_climbs_to_does_not_move_the_lowest_point() -> None:
    losses = [2.0] * 40 + [2 - 0.1 * step for step in range(15)]
    lowest = suggest(curve(losses, 2.0)).lowest
    assert lowest == 54
    assert lowest - suggest(curve([*losses, 1e30], 2.0)).lowest <= 6  # of 15 a decade, and to the safe side


def test_divergence() -> None:
    assert diverges([2.0, math.nan])
    assert diverges([2.0, math.inf])
    falling = [2.0, 1.5, 1.0, 0.5, 0.3, 0.2]
    assert not diverges(falling)
    assert not diverges([2.0, *[0.1] * 20, *[1.0] * 9])  # above four times the lowest, but not above the start
    assert diverges([0.5, *[0.1] * 20, *[1.0] * 9])
    assert not diverges([2.0] * 20 + [5.0])  # a single hard batch
    assert diverges([2.0] * 20 + [5.0, 9.0, 12.0, 20.0, 30.0])
    assert diverges([*falling, 1e9])
