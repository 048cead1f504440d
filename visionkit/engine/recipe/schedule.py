"""Say what the learning rate is at each point of a training."""

from __future__ import annotations

import math

LOWEST = 0.01
"""The factor that a warm-up begins with: at a rate of 0 the first step would teach nothing."""


class Constant:
    """The learning rate's factor at a fraction of the training: linear warm-up, then the full rate to the end."""

    def __init__(self, warmup: float = 0.05) -> None:
        check_fractions(warmup, 0.0)
        self.warmup = warmup

    def __call__(self, progress: float) -> float:
        """Return the factor at `progress`, 0 (start) to 1 (end)."""
        return rising(progress, self.warmup)


class WarmupCosine:
    """The learning rate's factor at a fraction of the training: linear warm-up, then a cosine.

    The cosine is that of Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017),
    section 3, without restarts.
    """

    def __init__(self, warmup: float = 0.05, final: float = 0.01) -> None:
        check_fractions(warmup, final)
        self.warmup = warmup
        self.final = final

    def __call__(self, progress: float) -> float:
        """Return the factor at `progress`, 0 (start) to 1 (end)."""
        if progress < self.warmup:
            return rising(progress, self.warmup)
        return cosine(1.0, self.final, after(progress, self.warmup))


class OneCycle:
    """The learning rate's factor at a fraction of the training: a cosine up from `initial`, then one down to `final`.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates" (2018),
    with cosines in place of their lines, as in PyTorch's OneCycleLR. Momentum stays as it is; letting it fall while the
    rate rises (Smith, "A Disciplined Approach to Neural Network Hyper-Parameters", 2018) is left out.
    """

    def __init__(self, warmup: float = 0.3, initial: float = 0.04, final: float = 4e-6) -> None:
        check_fractions(warmup, final)
        if not 0 < initial <= 1:
            raise ValueError(f"initial={initial} is no fraction of the full rate: 0 < initial <= 1")
        self.warmup = warmup
        self.initial = initial
        self.final = final

    def __call__(self, progress: float) -> float:
        """Return the factor at `progress`, 0 (start) to 1 (end)."""
        if progress < self.warmup:
            return cosine(self.initial, 1.0, progress / self.warmup)
        return cosine(1.0, self.final, after(progress, self.warmup))


class Polynomial:
    """The learning rate's factor at a fraction of the training: linear warm-up, then a power of what is left.

    The "poly" policy of Liu, Rabinovich and Berg, "ParseNet: Looking Wider to See Better" (2015), common in
    segmentation since; it has no warm-up and ends at 0.
    """

    def __init__(self, warmup: float = 0.05, power: float = 0.9, final: float = 0.0) -> None:
        check_fractions(warmup, final)
        if power <= 0:
            raise ValueError(f"power={power} does not let the rate fall: power > 0")
        self.warmup = warmup
        self.power = power
        self.final = final

    def __call__(self, progress: float) -> float:
        """Return the factor at `progress`, 0 (start) to 1 (end)."""
        if progress < self.warmup:
            return rising(progress, self.warmup)
        left = 1 - after(progress, self.warmup)
        return self.final + (1 - self.final) * float(left**self.power)


def rising(progress: float, warmup: float) -> float:
    """Return the factor of a linear warm-up, 1 behind it."""
    return max(progress / warmup, LOWEST) if progress < warmup else 1.0


def after(progress: float, warmup: float) -> float:
    """Return how far `progress` is from the end of the warm-up (0) to the end of the training (1)."""
    return min((progress - warmup) / (1 - warmup), 1.0)


def cosine(first: float, last: float, fraction: float) -> float:
    """Return the value on half a cosine from `first` to `last`."""
    return last + (first - last) * (1 + math.cos(math.pi * fraction)) / 2


def check_fractions(warmup: float, final: float) -> None:
    """Raise ValueError unless both are fractions, of the training and of the full rate."""
    if not (0 <= warmup < 1 and 0 <= final <= 1):
        raise ValueError(f"warmup={warmup} and final={final} are fractions: 0 <= warmup < 1, 0 <= final <= 1")
