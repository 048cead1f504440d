"""Say what the learning rate is at each point of a training."""

from __future__ import annotations

import math


class WarmupCosine:
    """The learning rate's factor at a fraction of the training: linear warm-up, then a cosine.

    The cosine is that of Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017),
    section 3, without restarts.
    """

    def __init__(self, warmup: float = 0.05, final: float = 0.01) -> None:
        if not (0 <= warmup < 1 and 0 <= final <= 1):
            raise ValueError(f"warmup={warmup} and final={final} are fractions: 0 <= warmup < 1, 0 <= final <= 1")
        self.warmup = warmup
        self.final = final

    def __call__(self, progress: float) -> float:
        """Return the factor at `progress`, 0 (start) to 1 (end)."""
        if progress < self.warmup:
            return max(progress / self.warmup, 0.01)
        descent = min((progress - self.warmup) / (1 - self.warmup), 1.0)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * descent)) / 2
