"""Hold what the arguments of an operation see of the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from visionkit.engine.summary import windows
from visionkit.engine.summary.layout import Dimension, Field, along, axes
from visionkit.engine.summary.windows import Windows

Arguments = Mapping[str, Any]
"""Those of an operation by the names of its schema; in place of a tensor that depends on the image stands its
`Known`."""


class Known:
    """A tensor that depends on the image: its shape, and what it sees, or None where that could not be told."""

    def __init__(self, tensor: Tensor, field: Field | None) -> None:
        self.shape = tuple(tensor.shape)
        self.field = field


Rule = Callable[[Arguments, Sequence[int], int], Field | None]
"""Gets the arguments, the shape of one tensor made of them and its place among those made; None if it cannot tell."""


def reading(arguments: Arguments) -> list[Known]:
    """Return the arguments that depend on the image."""
    listed = [value if isinstance(value, list | tuple) else [value] for value in arguments.values()]
    return [value for values in listed for value in values if isinstance(value, Known)]


def field_of(known: Known) -> Field:
    """Return what a tensor sees."""
    assert known.field is not None  # `result` asks no rule otherwise
    return known.field


def joined(parts: Sequence[Known], shape: Sequence[int], free: int | None = None) -> Field | None:
    """Return the field of what is made of several tensors; their lengths may differ along the dimension `free`."""
    layout: list[Dimension] = [((None, length),) for length in shape]
    seen: list[list[Windows]] = [[], []]
    pixels = (0, 0)
    for known in parts:
        field = field_of(known)
        pixels = field.pixels
        ahead = len(shape) - len(field.layout)
        repeated: set[int] = set()
        for index, dimension in enumerate(field.layout):
            if not axes(dimension) or index + ahead == free:
                continue
            if known.shape[index] != shape[index + ahead]:
                repeated |= axes(dimension)  # one cell that all others meet
            elif axes(layout[index + ahead]) and along(layout[index + ahead]) != along(dimension):
                return None
            else:
                layout[index + ahead] = dimension
        for axis in (0, 1):
            own = field.windows[axis]
            seen[axis].append(windows.everything(own, 1) if axis in repeated else own)
    down, across = (windows.union(found, length) for found, length in zip(seen, pixels, strict=True))
    return Field(tuple(layout), (down, across), pixels)


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Return an argument for both axes, given as one number or as one or two."""
    both = [value] if isinstance(value, int) else list(value)
    return (both[0], both[-1])
