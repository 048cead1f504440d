"""State what a loss promises the head that it is given to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor


class Loss(ABC):
    """Turns what a head puts out, and what it should have, into named scalars whose sum is minimised.

    Built from plain numbers; it holds no parameter and no buffer and works on the device of `outputs`. Every term is a
    sum over counted items over `ops.ranks.normaliser` of their number, so that two ranks do what one process does.
    """

    @abstractmethod
    def __call__(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        """Return the terms, in float32."""
