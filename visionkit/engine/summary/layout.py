"""Follow the two axes of the image through the dimensions of tensors, also where these are merged and split."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from visionkit.engine.summary.windows import PIXELS, Windows, everything

Atom = tuple[int | None, int]
"""A part of a dimension: which axis of the image it runs along (0 down, 1 across, None neither), and its length."""

Dimension = tuple[Atom, ...]
"""What a dimension is the product of, slowest part first; the parts of length 1 may be left out."""


class Field(NamedTuple):
    """What the values of a tensor see of the image."""

    layout: tuple[Dimension, ...]
    windows: tuple[Windows, Windows]  # down, across
    pixels: tuple[int, int]  # of the image, down and across


def of_image(shape: Sequence[int]) -> Field:
    """Return the field of images (B, C, H, W)."""
    return Field(maps(shape), (PIXELS, PIXELS), (shape[-2], shape[-1]))


def maps(shape: Sequence[int]) -> tuple[Dimension, ...]:
    """Return the layout of maps (B, C, H, W)."""
    batch, channels, height, width = shape
    return ((None, batch),), ((None, channels),), ((0, height),), ((1, width),)


def are_maps(field: Field) -> bool:
    """Return whether a tensor is (B, C, H, W)."""
    allowed: tuple[set[int], ...] = (set(), set(), {0}, {1})
    return len(field.layout) == 4 and all(
        axes(dimension) <= own for dimension, own in zip(field.layout, allowed, strict=True)
    )


def axes(dimension: Dimension) -> set[int]:
    """Return the axes of the image that a dimension runs along."""
    return {axis for axis, _ in dimension if axis is not None}


def resized(dimension: Dimension, length: int) -> Dimension:
    """Return a dimension of another length along the same axis, if any."""
    found = axes(dimension)
    return ((found.pop() if found else None, length),)


def pooled(field: Field, dimensions: Sequence[int], *, keep: bool) -> Field:
    """Return the field of what combines all values along some dimensions; those stay with length 1 or are dropped."""
    gone = {dimension % len(field.layout) for dimension in dimensions}
    windows = list(field.windows)
    for index in gone:
        for axis, length in field.layout[index]:
            if axis is not None:
                windows[axis] = everything(windows[axis], length)
    layout = [() if index in gone else dimension for index, dimension in enumerate(field.layout)]
    if not keep:
        layout = [dimension for index, dimension in enumerate(layout) if index not in gone]
    return Field(tuple(layout), (windows[0], windows[1]), field.pixels)


def viewed(field: Field, shape: Sequence[int]) -> Field | None:
    """Return the field of the same values in another shape, or None where an axis of the image is torn apart."""
    atoms = [atom for dimension in field.layout for atom in dimension]
    layout: list[Dimension] = []
    for index, length in enumerate(shape):
        taken: list[Atom] = []
        after = len(shape) - index - 1
        while atoms:
            axis, size = atoms[0]
            missing = length // prod(part for _, part in taken)
            if size == 1 and missing == 1 and taken and len(atoms) <= after:
                break  # a dimension of its own
            if missing % size == 0 and (missing > 1 or size == 1):
                taken.append(atoms.pop(0))
            elif missing > 1 and axis is None and size % missing == 0:
                taken.append((None, missing))
                atoms[0] = (None, size // missing)
            else:
                break
        if prod(part for _, part in taken) != length:
            return None
        layout.append(tuple(taken))
    return None if atoms else Field(tuple(layout), field.windows, field.pixels)


def along(dimension: Dimension) -> Dimension:
    """Return the parts of a dimension that are longer than 1."""
    return tuple(atom for atom in dimension if atom[1] > 1)
