"""Say what the cells of maps see that are made by windows: by sliding, pooling, enlarging and padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from visionkit.engine.summary import windows
from visionkit.engine.summary.known import Arguments, Known, field_of, pair
from visionkit.engine.summary.layout import Field, are_maps, axes, maps, resized
from visionkit.engine.summary.windows import Windows


def convolution(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Windows of weights, also transposed."""
    field = field_of(arguments["input"])
    if not are_maps(field) or isinstance(arguments["weight"], Known):
        return None
    kernel = tuple(arguments["weight"].shape[2:])
    per_axis = zip(field.windows, kernel, *(arguments[name] for name in ("stride", "padding", "dilation")), strict=True)
    slide = windows.spread if arguments["transposed"] else windows.slide
    try:
        down, across = (slide(*setting) for setting in per_axis)
    except ValueError:
        return None
    return Field(maps(shape), (down, across), field.pixels)


def pool(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """The largest or the mean of windows."""
    field = field_of(arguments["self"])
    if index or not are_maps(field) or len(shape) != 4:
        return None
    kernel = pair(arguments["kernel_size"])
    stride, padding = pair(arguments["stride"] or kernel), pair(arguments["padding"])
    dilation = pair(arguments.get("dilation", 1))
    per_axis = zip(field.windows, kernel, stride, padding, dilation, strict=True)
    down, across = (windows.slide(*setting) for setting in per_axis)
    return Field(maps(shape), (down, across), field.pixels)


def adaptive(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Pools to a number of cells."""
    known = arguments["self"]
    field = field_of(known)
    if index or not are_maps(field):
        return None
    sides = zip(field.windows, known.shape[2:], shape[2:], strict=True)
    down, across = (windows.adaptive(*side) for side in sides)
    return Field(maps(shape), (down, across), field.pixels)


def nearest(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Enlarged by repeating cells."""
    return _enlarged(arguments, shape, windows.nearest)


def bilinear(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Enlarged between cells."""
    aligned = bool(arguments["align_corners"])
    return _enlarged(arguments, shape, lambda own, scale: windows.linear(own, scale, aligned), aligned=aligned)


def _enlarged(
    arguments: Arguments,
    shape: Sequence[int],
    enlarge: Callable[[Windows, Fraction], Windows],
    *,
    aligned: bool = False,
) -> Field | None:
    known = arguments["self"] if "self" in arguments else arguments["input"]
    field = field_of(known)
    if not are_maps(field):
        return None
    less = 1 if aligned else 0
    found = []
    for axis, given in enumerate(_factors(arguments)):
        cells, made = known.shape[2 + axis], shape[2 + axis]
        scale = Fraction(cells - less, max(made - less, 1))
        if given is not None and not aligned:
            scale = 1 / Fraction(given)
        found.append(field.windows[axis] if cells == made and scale == 1 else enlarge(field.windows[axis], scale))
    return Field(maps(shape), (found[0], found[1]), field.pixels)


def _factors(arguments: Arguments) -> tuple[float | None, float | None]:
    """Return by how much a map is enlarged, where it was said as a factor."""
    both = arguments.get("scale_factors")
    return (both[0], both[1]) if both else (arguments.get("scales_h"), arguments.get("scales_w"))


def padded(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """More cells at the border, or fewer."""
    known = arguments["self"]
    field = field_of(known)
    pad = arguments["pad"] if "pad" in arguments else arguments["padding"]
    found, layout = list(field.windows), list(field.layout)
    for step, before in enumerate(pad[::2]):
        dimension = len(layout) - 1 - step
        if len(layout[dimension]) > 1 and axes(layout[dimension]):
            return None
        for axis in axes(layout[dimension]):
            found[axis] = windows.slide(found[axis], 1, 1, before)
        layout[dimension] = resized(layout[dimension], shape[dimension])
    return Field(tuple(layout), (found[0], found[1]), field.pixels)
