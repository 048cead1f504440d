"""Read the description of a staged network: the layers of its stem, its stages and the pools between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeGuard

from visionkit.models.blocks import Bottleneck, Inception, Plain, Residual, Separable
from visionkit.models.blocks.inception import Branches
from visionkit.suggest import did_you_mean

BLOCKS: Final[dict[str, type[Plain | Separable | Residual | Bottleneck | Inception]]] = {
    "plain": Plain,
    "residual": Residual,
    "bottleneck": Bottleneck,
    "inception": Inception,
    "separable": Separable,
}

Description = Sequence[Mapping[str, object]]
"""Layers as they stand in a YAML."""


class Conv(NamedTuple):
    """A convolution of the stem: `channels` out, an odd `kernel`, `stride`."""

    channels: int
    kernel: int
    stride: int


class Pool(NamedTuple):
    """A pool by itself, over windows of `pool` x `pool` cells.

    `padding` and `ceil` (rounding up) are how its authors had it, under padding=published; else maps are rounded up.
    """

    pool: int
    stride: int
    padding: int = 0
    ceil: bool = False


class Stage(NamedTuple):
    """Blocks of one kind, one for each of `widths` (channels); the first of them has the stage's `stride`.

    `kernel` is that of the spatial convolutions, of inception's third branch; `branches` has inception's widths a
    block, or is empty.
    """

    block: str
    widths: tuple[int, ...]
    stride: int
    kernel: int
    branches: tuple[Branches, ...] = ()


_CONV: Final = ("channels", "kernel", "stride")
_POOL: Final = ("pool", "stride", "padding", "ceil")
_STAGE: Final = ("block", "channels", "depth", "stride", "kernel", "branches")


def read_stem(stem: Description) -> tuple[Conv | Pool, ...]:
    """Return the layers of a stem. Raises ValueError for a missing, unknown or impossible field."""
    layers: list[Conv | Pool] = []
    for where, entry in _entries("stem", stem):
        if "pool" in entry:
            layers.append(_pool(entry, where))
            continue
        _only(entry, (*_CONV, "pool"), where)
        _lacks(entry, _CONV, where)
        channels, _, stride = (_positive(f"{where}.{key}", entry[key]) for key in _CONV)
        layers.append(Conv(channels, _odd(f"{where}.kernel", entry["kernel"]), stride))
    return tuple(layers)


def read_stages(stages: Description) -> tuple[Stage | Pool, ...]:
    """Return stages and the pools between them. Raises ValueError for a missing, unknown or impossible field."""
    layers: list[Stage | Pool] = []
    for where, entry in _entries("stages", stages):
        layers.append(_pool(entry, where) if "pool" in entry else _stage(entry, where))
    if not any(isinstance(layer, Stage) for layer in layers):
        raise ValueError("stages has no block; a backbone has at least one stage of blocks")
    return tuple(layers)


def _stage(entry: Mapping[str, object], where: str) -> Stage:
    _only(entry, (*_STAGE, "pool"), where)
    explicit = entry.get("branches") is not None
    _lacks(entry, ("block", "stride") if explicit else ("block", "channels", "depth", "stride"), where)
    block = str(entry["block"])
    if block not in BLOCKS:
        raise ValueError(f"{where}.block={block!r} is unknown; {did_you_mean(block, BLOCKS)}")
    stride = _positive(f"{where}.stride", entry["stride"])
    usual = 5 if block == "inception" else 3
    kernel = usual if entry.get("kernel") is None else _odd(f"{where}.kernel", entry["kernel"])
    if explicit:
        if block != "inception":
            raise ValueError(f"{where}.branches goes with block=inception; block={block} takes channels and depth")
        if given := [key for key in ("channels", "depth") if key in entry]:
            raise ValueError(f"{where}.{given[0]} follows from {where}.branches; leave {' and '.join(given)} out")
        branches = _branches(entry["branches"], f"{where}.branches")
        widths = tuple(sum(branch[-1] for branch in widths) for widths in branches)
        return Stage(block, widths, stride, kernel, branches)
    channels, depth = (_positive(f"{where}.{key}", entry[key]) for key in ("channels", "depth"))
    return Stage(block, (channels,) * depth, stride, kernel)


def _branches(given: object, where: str) -> tuple[Branches, ...]:
    if not _is_list(given) or not given:
        raise ValueError(f"{where}={given!r}; it lists, for each block, [[1x1], [1x1, 3x3], [1x1, 5x5], [pool]]")
    for index, block in enumerate(given):
        if not _is_list(block) or [len(part) if _is_list(part) else 0 for part in block] != [1, 2, 2, 1]:
            raise ValueError(
                f"{where}[{index}]={block!r}; a block has four branches of 1, 2, 2 and 1 widths, such as "
                "[[64], [96, 128], [16, 32], [32]]"
            )
        for width in (width for part in block for width in part):
            _positive(f"a width in {where}[{index}]", width)
    return tuple(tuple(tuple(part) for part in block) for block in given)


def _pool(entry: Mapping[str, object], where: str) -> Pool:
    _only(entry, _POOL, where)
    _lacks(entry, ("pool", "stride"), where)
    window, stride = (_positive(f"{where}.{key}", entry[key]) for key in ("pool", "stride"))
    padding, ceil = entry.get("padding", 0), entry.get("ceil", False)
    if not isinstance(padding, int) or isinstance(padding, bool) or not 0 <= padding <= window // 2:
        raise ValueError(f"{where}.padding={padding!r}; it has to be a whole number from 0 to half the window")
    if not isinstance(ceil, bool):
        raise ValueError(f"{where}.ceil={ceil!r}; it has to be true or false")
    return Pool(window, stride, padding, ceil)


def _entries(name: str, given: object) -> list[tuple[str, Mapping[str, object]]]:
    if not _is_list(given):
        raise ValueError(f"{name}={given!r} is no list of layers")
    for index, entry in enumerate(given):
        if not isinstance(entry, Mapping):
            raise ValueError(f"{name}[{index}]={entry!r} is no layer such as {{channels: 16, stride: 2, ...}}")
    return [(f"{name}[{index}]", entry) for index, entry in enumerate(given)]


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _only(entry: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in entry:
        if key not in known:
            raise ValueError(f"{where} has no field {key!r}; {did_you_mean(str(key), known)}")


def _lacks(entry: Mapping[str, object], needed: Sequence[str], where: str) -> None:
    if missing := [key for key in needed if entry.get(key) is None]:
        raise ValueError(f"{where} lacks {', '.join(missing)}; it takes {', '.join(needed)}")


def _positive(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}; it has to be a whole number of at least 1")
    return value


def _odd(name: str, value: object) -> int:
    if _positive(name, value) % 2 == 0:
        raise ValueError(f"{name}={value} is even; an odd one keeps maps aligned, such as 3, 5 or 7")
    return _positive(name, value)
