"""Count the multiply-adds of an operation: of convolutions and matrix products; all else has none to speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def multiply_adds(name: str, arguments: Mapping[str, Any], made: Tensor) -> int:
    """Return how many products an operation of ATen adds up; a bias is not counted."""
    if name == "convolution":
        weight = arguments["weight"]
        # Each value made (of a transposed convolution: each value read) meets the filter's other dimensions once;
        # groups have narrowed the filter already.
        values = arguments["input"] if arguments["transposed"] else made
        return int(values.numel() * weight[0].numel())
    if name in {"mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "linear"}:
        return int(made.numel() * _summed(name, arguments))
    return 0


def _summed(name: str, arguments: Mapping[str, Any]) -> int:
    """Return the length of the dimension that a matrix product sums over."""
    left = arguments.get("mat1", arguments.get("batch1", arguments.get("mat")))
    tensor: Tensor = arguments["input" if name == "linear" else "self"] if left is None else left
    return int(tensor.shape[-1])
