"""Say what the result of an operation of ATen sees of the image, given what its arguments see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from torch import Tensor

from visionkit.engine.summary import windows
from visionkit.engine.summary.layout import Dimension, Field, are_maps, axes, maps, pooled, resized, viewed
from visionkit.engine.summary.windows import Windows

Arguments = Mapping[str, Any]
"""Those of an operation by the names of its schema; in place of a tensor that depends on the image stands its
`Known`."""


class Known:
    """A tensor that depends on the image: its shape, and what it sees, or None where that could not be told."""

    def __init__(self, tensor: Tensor, field: Field | None) -> None:
        self.shape = tuple(tensor.shape)
        self.field = field


def result(name: str, arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Return the field of the `index`-th tensor that an operation makes, of a shape; None where no rule knows it."""
    rule = RULES.get(name)
    read = reading(arguments)
    if rule is None or any(known.field is None for known in read):
        return None
    return rule(arguments, shape, index)


def reading(arguments: Arguments) -> list[Known]:
    """Return the arguments that depend on the image."""
    listed = [value if isinstance(value, list | tuple) else [value] for value in arguments.values()]
    return [value for values in listed for value in values if isinstance(value, Known)]


def pointwise(arguments: Arguments, shape: Sequence[int], index: int = 0) -> Field | None:
    """Value by value, smaller tensors repeated."""
    return _joined(reading(arguments), shape)


def _joined(parts: Sequence[Known], shape: Sequence[int], free: int | None = None) -> Field | None:
    """Return the field of what is made of several tensors; their lengths may differ along the dimension `free`."""
    layout: list[Dimension] = [((None, length),) for length in shape]
    seen: list[list[Windows]] = [[], []]
    pixels = (0, 0)
    for known in parts:
        field = _of(known)
        pixels = field.pixels
        ahead = len(shape) - len(field.layout)
        repeated: set[int] = set()
        for index, dimension in enumerate(field.layout):
            if not axes(dimension) or index + ahead == free:
                continue
            if known.shape[index] != shape[index + ahead]:
                repeated |= axes(dimension)  # one cell that all others meet
            elif axes(layout[index + ahead]) and _along(layout[index + ahead]) != _along(dimension):
                return None
            else:
                layout[index + ahead] = dimension
        for axis in (0, 1):
            own = field.windows[axis]
            seen[axis].append(windows.everything(own, 1) if axis in repeated else own)
    down, across = (windows.union(found, length) for found, length in zip(seen, pixels, strict=True))
    return Field(tuple(layout), (down, across), pixels)


def _along(dimension: Dimension) -> Dimension:
    return tuple(atom for atom in dimension if atom[1] > 1)


def _first(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Of the first tensor alone, and what else it makes (indices, statistics) is nobody's map."""
    return _of(reading(arguments)[0]) if index == 0 else None


def _convolution(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    field = _of(arguments["input"])
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


def _pool(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    field = _of(arguments["self"])
    if index or not are_maps(field) or len(shape) != 4:
        return None
    kernel = _pair(arguments["kernel_size"])
    stride, padding = _pair(arguments["stride"] or kernel), _pair(arguments["padding"])
    dilation = _pair(arguments.get("dilation", 1))
    per_axis = zip(field.windows, kernel, stride, padding, dilation, strict=True)
    down, across = (windows.slide(*setting) for setting in per_axis)
    return Field(maps(shape), (down, across), field.pixels)


def _adaptive(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    known = arguments["self"]
    field = _of(known)
    if index or not are_maps(field):
        return None
    sides = zip(field.windows, known.shape[2:], shape[2:], strict=True)
    down, across = (windows.adaptive(*side) for side in sides)
    return Field(maps(shape), (down, across), field.pixels)


def _nearest(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return _enlarged(arguments, shape, windows.nearest)


def _bilinear(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
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
    field = _of(known)
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


def _padded(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    known = arguments["self"]
    field = _of(known)
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


def _sliced(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    start, length = arguments["start"] or 0, arguments["self"].shape[arguments["dim"]]
    first = min(max(start + length if start < 0 else start, 0), length)
    return _part(arguments["self"], arguments["dim"], first, arguments["step"], shape)


def _split(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    sizes = arguments["split_size"] if "split_size" in arguments else arguments["split_sizes"]
    first = sum(sizes[:index]) if isinstance(sizes, list | tuple) else sizes * index
    return _part(arguments["self"], arguments["dim"], first, 1, shape)


def _part(known: Known, dimension: int, first: int, step: int, shape: Sequence[int]) -> Field | None:
    field = _of(known)
    found, layout = list(field.windows), list(field.layout)
    dimension %= len(layout)
    if len(_along(layout[dimension])) > 1 and axes(layout[dimension]):
        return None
    for axis in axes(layout[dimension]):
        found[axis] = windows.slide(found[axis], 1, step, -first)
    layout[dimension] = resized(layout[dimension], shape[dimension])
    return Field(tuple(layout), (found[0], found[1]), field.pixels)


def _selected(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    known, dimension = arguments["self"], arguments["dim"]
    at = arguments["index"] % known.shape[dimension]
    whole = list(known.shape)
    whole[dimension] = 1
    one = _part(known, dimension, at, 1, whole)
    return one and pooled(one, [dimension], keep=False)


def _concatenated(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    parts = [known for known in reading(arguments) if len(known.shape) == len(shape)]
    dimension = arguments["dim"] % len(shape)
    if any(axes(_of(known).layout[dimension]) for known in parts):
        return _continued(parts, dimension, shape)
    return _joined(parts, shape, free=dimension)


def _continued(parts: Sequence[Known], dimension: int, shape: Sequence[int]) -> Field | None:
    """Return the field of a map with its first and last cells repeated as padding; other maps have none in common."""
    longest = max(range(len(parts)), key=lambda index: parts[index].shape[dimension])
    field = _of(parts[longest])
    along = _along(field.layout[dimension])
    axis, length = along[0] if len(along) == 1 else (None, 0)
    if axis is None:
        return None
    for index, known in enumerate(parts):
        border = field.windows[axis].at(0 if index < longest else length - 1)
        own = _of(known).windows
        cells = range(known.shape[dimension]) if index != longest else ()
        if any(own[axis].at(cell) != border for cell in cells) or own[1 - axis].at(0) != field.windows[1 - axis].at(0):
            return None
    found, layout = list(field.windows), list(field.layout)
    before = sum(known.shape[dimension] for known in parts[:longest])
    found[axis] = windows.slide(found[axis], 1, 1, before)
    layout[dimension] = ((axis, shape[dimension]),)
    return Field(tuple(layout), (found[0], found[1]), field.pixels)


def _reduced(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    field = _of(arguments["self"])
    dim = arguments.get("dim")
    dimensions = range(len(field.layout)) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    return pooled(field, dimensions, keep=bool(arguments.get("keepdim", False)))


def _in_context(field: Field, dimensions: Sequence[int]) -> Field:
    """Return the field of what is scaled by statistics over some dimensions."""
    touched = {axis for dimension in dimensions for axis in axes(field.layout[dimension])}
    down, across = (windows.in_context(own) if axis in touched else own for axis, own in enumerate(field.windows))
    return Field(field.layout, (down, across), field.pixels)


def _group_norm(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return _in_context(_of(arguments["input"]), range(len(shape))) if index == 0 else None


def _layer_norm(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    last = range(len(shape) - len(arguments["normalized_shape"]), len(shape))
    return _in_context(_of(arguments["input"]), last) if index == 0 else None


def _batch_norm(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return None if arguments.get("training") else _first(arguments, shape, index)


def _softmax(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return _in_context(_of(arguments["self"]), [arguments["dim"] % len(shape)])


def _product(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Rows times a matrix of weights."""
    read = reading(arguments)
    left = arguments.get("mat1", arguments.get("batch1", arguments.get("self", arguments.get("input"))))
    if len(read) != 1 or read[0] is not left:
        return None  # an image times itself, as in attention
    field = pooled(_of(left), [len(left.shape) - 1], keep=False)
    return Field((*field.layout, ((None, shape[-1]),)), field.windows, field.pixels)


def _viewed(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return viewed(_of(reading(arguments)[0]), shape)


def _permuted(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    field = _of(arguments["self"])
    order = list(range(len(shape)))
    if "dims" in arguments:
        order = [dimension % len(shape) for dimension in arguments["dims"]]
    else:
        one, other = arguments.get("dim0", 0), arguments.get("dim1", len(shape) - 1)
        order[one], order[other] = order[other], order[one]
    return Field(tuple(field.layout[dimension] for dimension in order), field.windows, field.pixels)


def _expanded(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return _joined(reading(arguments), shape)


def _of(known: Known) -> Field:
    assert known.field is not None  # `result` asks no rule otherwise
    return known.field


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    both = [value] if isinstance(value, int) else list(value)
    return (both[0], both[-1])


Rule = Callable[[Arguments, Sequence[int], int], Field | None]
VIEWS: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias", "unsqueeze", "squeeze"), _viewed),
    **dict.fromkeys(("permute", "transpose", "t"), _permuted),
    **dict.fromkeys(("alias", "detach", "lift_fresh", "clone", "_to_copy", "contiguous", "dropout"), _first),
    "slice": _sliced,
    "select": _selected,
    "expand": _expanded,
    "split": _split,
    "split_with_sizes": _split,
}
"""What only hands values on: rules for them. They get no row."""

RULES: dict[str, Rule] = {
    **VIEWS,
    "convolution": _convolution,
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), _pool),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "var", "std", "prod"), _reduced),
    "upsample_nearest2d": _nearest,
    "upsample_bilinear2d": _bilinear,
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _padded),
    "cat": _concatenated,
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm"), _batch_norm),
    "native_group_norm": _group_norm,
    "native_layer_norm": _layer_norm,
    **dict.fromkeys(("_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "linear"), _product),
}
"""How to tell what operations see; those that torch tags as pointwise are `pointwise`."""
