"""Say what the result of an operation of ATen sees of the image, given what its arguments see."""

from __future__ import annotations

from collections.abc import Sequence

from visionkit.engine.summary import window_rules, windows
from visionkit.engine.summary.known import Arguments, Known, Rule, field_of, joined, reading
from visionkit.engine.summary.layout import Field, along, axes, pooled, resized, viewed


def result(name: str, arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Return the field of the `index`-th tensor that an operation makes, of a shape; None where no rule knows it."""
    rule = RULES.get(name)
    read = reading(arguments)
    if rule is None or any(known.field is None for known in read):
        return None
    return rule(arguments, shape, index)


def pointwise(arguments: Arguments, shape: Sequence[int], index: int = 0) -> Field | None:
    """Value by value, smaller tensors repeated."""
    return joined(reading(arguments), shape)


def _first(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Of the first tensor alone, and what else it makes (indices, statistics) is nobody's map."""
    return field_of(reading(arguments)[0]) if index == 0 else None


def _sliced(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    start, length = arguments["start"] or 0, arguments["self"].shape[arguments["dim"]]
    first = min(max(start + length if start < 0 else start, 0), length)
    return _part(arguments["self"], arguments["dim"], first, arguments["step"], shape)


def _split(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    sizes = arguments["split_size"] if "split_size" in arguments else arguments["split_sizes"]
    first = sum(sizes[:index]) if isinstance(sizes, list | tuple) else sizes * index
    return _part(arguments["self"], arguments["dim"], first, 1, shape)


def _part(known: Known, dimension: int, first: int, step: int, shape: Sequence[int]) -> Field | None:
    field = field_of(known)
    found, layout = list(field.windows), list(field.layout)
    dimension %= len(layout)
    if len(along(layout[dimension])) > 1 and axes(layout[dimension]):
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
    if any(axes(field_of(known).layout[dimension]) for known in parts):
        return _continued(parts, dimension, shape)
    return joined(parts, shape, free=dimension)


def _continued(parts: Sequence[Known], dimension: int, shape: Sequence[int]) -> Field | None:
    """Return the field of a map with its first and last cells repeated as padding; other maps have none in common."""
    longest = max(range(len(parts)), key=lambda index: parts[index].shape[dimension])
    field = field_of(parts[longest])
    long = along(field.layout[dimension])
    axis, length = long[0] if len(long) == 1 else (None, 0)
    if axis is None:
        return None
    for index, known in enumerate(parts):
        border = field.windows[axis].at(0 if index < longest else length - 1)
        own = field_of(known).windows
        cells = range(known.shape[dimension]) if index != longest else ()
        if any(own[axis].at(cell) != border for cell in cells) or own[1 - axis].at(0) != field.windows[1 - axis].at(0):
            return None
    found, layout = list(field.windows), list(field.layout)
    before = sum(known.shape[dimension] for known in parts[:longest])
    found[axis] = windows.slide(found[axis], 1, 1, before)
    layout[dimension] = ((axis, shape[dimension]),)
    return Field(tuple(layout), (found[0], found[1]), field.pixels)


def _reduced(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    field = field_of(arguments["self"])
    dim = arguments.get("dim")
    dimensions = range(len(field.layout)) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    return pooled(field, dimensions, keep=bool(arguments.get("keepdim", False)))


def _in_context(field: Field, dimensions: Sequence[int]) -> Field:
    """Return the field of what is scaled by statistics over some dimensions."""
    touched = {axis for dimension in dimensions for axis in axes(field.layout[dimension])}
    down, across = (windows.in_context(own) if axis in touched else own for axis, own in enumerate(field.windows))
    return Field(field.layout, (down, across), field.pixels)


def _group_norm(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return _in_context(field_of(arguments["input"]), range(len(shape))) if index == 0 else None


def _layer_norm(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    last = range(len(shape) - len(arguments["normalized_shape"]), len(shape))
    return _in_context(field_of(arguments["input"]), last) if index == 0 else None


def _batch_norm(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return None if arguments.get("training") else _first(arguments, shape, index)


def _softmax(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return _in_context(field_of(arguments["self"]), [arguments["dim"] % len(shape)])


def _product(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    """Rows times a matrix of weights."""
    read = reading(arguments)
    left = arguments.get("mat1", arguments.get("batch1", arguments.get("self", arguments.get("input"))))
    if len(read) != 1 or read[0] is not left:
        return None  # an image times itself, as in attention
    field = pooled(field_of(left), [len(left.shape) - 1], keep=False)
    return Field((*field.layout, ((None, shape[-1]),)), field.windows, field.pixels)


def _viewed(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return viewed(field_of(reading(arguments)[0]), shape)


def _permuted(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    field = field_of(arguments["self"])
    order = list(range(len(shape)))
    if "dims" in arguments:
        order = [dimension % len(shape) for dimension in arguments["dims"]]
    else:
        one, other = arguments.get("dim0", 0), arguments.get("dim1", len(shape) - 1)
        order[one], order[other] = order[other], order[one]
    return Field(tuple(field.layout[dimension] for dimension in order), field.windows, field.pixels)


def _expanded(arguments: Arguments, shape: Sequence[int], index: int) -> Field | None:
    return joined(reading(arguments), shape)


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
    "convolution": window_rules.convolution,
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), window_rules.pool),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), window_rules.adaptive),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "var", "std", "prod"), _reduced),
    "upsample_nearest2d": window_rules.nearest,
    "upsample_bilinear2d": window_rules.bilinear,
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), window_rules.padded),
    "cat": _concatenated,
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm"), _batch_norm),
    "native_group_norm": _group_norm,
    "native_layer_norm": _layer_norm,
    **dict.fromkeys(("_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "linear"), _product),
}
"""How to tell what operations see; those that torch tags as pointwise are `pointwise`."""
