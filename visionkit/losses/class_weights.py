"""Judge and hand out the numbers by which losses weigh their classes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


class ClassWeights:
    """One number a class, or None, which weighs all alike; `name` is the argument that gave them.

    Raises ValueError for anything but numbers from 0 on.
    """

    def __init__(self, name: str, numbers: Sequence[float] | None) -> None:
        given = None if numbers is None else list(numbers)
        if given is not None and not all(isinstance(number, int | float) and number >= 0 for number in given):
            raise ValueError(f"{name}={numbers}; give one number a class, none of them negative, or null")
        self.name = name
        self.numbers = given

    def of(self, logits: Tensor, num_classes: int) -> Tensor | None:
        """Return them (K,) as the logits are. Raises ValueError when there are not as many as classes."""
        if self.numbers is None:
            return None
        if len(self.numbers) != num_classes:
            raise ValueError(f"{self.name} has {len(self.numbers)} numbers for {num_classes} classes")
        return logits.new_tensor(self.numbers)
