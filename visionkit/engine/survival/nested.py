"""Find the tensors in nested plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def tensors(node: Any) -> Iterator[Tensor]:
    """Yield every tensor in a tensor, or in dicts, lists and tuples of them."""
    if isinstance(node, Tensor):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from tensors(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from tensors(value)
