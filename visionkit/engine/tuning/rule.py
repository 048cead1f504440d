"""Judge a learning-rate range test: when a loss has diverged, and which rate its curve suggests.

Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3, describes the test and leaves the
choice to the eye. The rule here is a third of the rate at which the smoothed curve is lowest, as the highest rate of a
schedule. Where the curve turns up, steps overshoot: on a quadratic of curvature L the loss is lowest at the rate 2/L,
however fast the rates rise, and smoothing moves that down by half a decade at most; so a third of it is safe. A tenth,
another rule, learns too slowly under a schedule that is at its highest rate for a moment only, and the steepest place
of the curve moves with the number of steps that a decade has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

LOWEST, HIGHEST = -6, 1
"""Decades from which to which rates are tried."""

STEPS = 15
"""Rates a decade."""

MARGIN = 3.0
"""How far the suggestion lies below the rate of the lowest loss, a factor."""

WIDTH = 4.0
"""Of the smoothing, its standard deviation, in steps."""

BETA = 0.8
"""How much of its weight a loss keeps, a step further on, where divergence is judged."""

CHANCE = 1.5
"""How many times what a batch differs the loss has to fall, for the test to have seen something."""

DIVERGED = 4.0
"""The test ends when the loss is so many times its lowest, and above where it began."""


class Curve(NamedTuple):
    """What a range test saw."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Of the batch behind each step, the first that shows what its rate did."""
    start: float
    """The first batch's loss, before any step."""
    diverged: float | None
    """The rate at which the test was ended; None when it went to the end."""


class Suggestion(NamedTuple):
    """What a curve suggests."""

    rate: float | None
    """None when the loss fell nowhere."""
    lowest: int
    """The number of the lowest point of the smoothed curve."""
    smoothed: tuple[float, ...]


def rates() -> tuple[float, ...]:
    """Return the rates to try, growing exponentially."""
    return tuple(10 ** (step / STEPS) for step in range(LOWEST * STEPS, HIGHEST * STEPS + 1))


def smooth(losses: Sequence[float]) -> tuple[float, ...]:
    """Return the mean around each loss, with the weights of a normal curve `WIDTH` steps wide, cut off at the ends.

    It looks to both sides: the exponential mean of what has come lags behind, which would move the lowest point to a
    higher rate, and never quite forgets a loss many times as large.
    """
    reach = range(len(losses))
    weights = [[math.exp(-(((here - there) / WIDTH) ** 2) / 2) for there in reach] for here in reach]
    return tuple(sum(w * loss for w, loss in zip(row, losses, strict=True)) / sum(row) for row in weights)


def diverges(losses: Sequence[float]) -> bool:
    """Return whether the last of all losses so far, the first batch's included, shows that the training is lost.

    It is judged by the bias-corrected exponential mean of what has come, so that a single hard batch does not count.
    """
    if not math.isfinite(losses[-1]):
        return True
    average, best, smoothed = 0.0, math.inf, 0.0
    for count, loss in enumerate(losses, start=1):
        average = BETA * average + (1 - BETA) * loss
        smoothed = average / (1 - BETA**count)
        best = min(best, smoothed)
    return smoothed > max(DIVERGED * best, losses[0])


def suggest(curve: Curve) -> Suggestion:
    """Return a third of the lowest point's rate, or none when that point is no lower than chance would have it.

    By chance it lies below the mean of the first decade, whose rates change next to nothing, by less than `CHANCE`
    times what a batch differs from the smoothed curve (root of the mean square up to the lowest point). No loss counts
    for more than it may be before it has diverged: else the last of them would draw the points before it up.
    """
    start = [curve.start, *curve.losses[:STEPS]]
    most = DIVERGED * max(start)
    losses = [min(loss, most) for loss in curve.losses]
    if not losses:
        return Suggestion(None, 0, ())
    smoothed = smooth(losses)
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__)
    apart = [(loss - middle) ** 2 for loss, middle in zip(losses, smoothed, strict=True)]
    chance = CHANCE * math.sqrt(mean(apart[: max(lowest, STEPS)]))
    rate = curve.rates[lowest] / MARGIN if smoothed[lowest] < mean(start) - chance else None
    return Suggestion(rate, lowest, smoothed)
