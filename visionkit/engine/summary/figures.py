"""Write the figures of a summary for people: short numbers, sides and receptive fields."""

from __future__ import annotations

from visionkit.engine.summary.layers import Layer, View


def count(number: int) -> str:
    """Return a number in thousands (k), millions (M) or billions (G): 25557032 is 25.6 M."""
    return _scaled(number, 1000, ("", "k", "M", "G", "T"))


def size(number: int) -> str:
    """Return a number of bytes: 44146688 is 42.1 MiB."""
    return _scaled(number, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def _scaled(number: float, base: int, units: tuple[str, ...]) -> str:
    step = 0
    while number >= 999.5 and step < len(units) - 1:
        number, step = number / base, step + 1
    decimals = 0 if step == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{decimals}f} {units[step]}".strip() if number else "0"


def sides(both: tuple[int | float, ...]) -> str:
    """Return lengths joined by x: 64x112x112."""
    return "x".join(f"{side:g}" for side in both)


def one(both: tuple[int, ...]) -> str:
    """Return one number where both sides are equal."""
    return sides(both) if len(set(both)) > 1 else sides(both[:1])


def kernel(layer: Layer) -> str:
    """Return a layer's kernel, with dilation (d2) and groups (g32) where they are not 1."""
    dilation = f" d{one(layer.dilation)}" if set(layer.dilation) - {1} else ""
    groups = f" g{layer.groups}" if layer.kind == "grouped conv" else ""
    return sides(layer.kernel) + dilation + groups


def window(view: tuple[View, View] | None) -> str:
    """Return a receptive field in pixels.

    `*`: and the whole image through statistics of the map; `~`: the largest, as cells differ.
    """
    if view is None:
        return "unknown"
    if all(axis.whole for axis in view):
        return "whole image"
    sizes = [f"{axis.size:g}" for axis in view]
    marks = ("~" if not all(axis.same_size for axis in view) else "") + ("*" if any(a.context for a in view) else "")
    return (sizes[0] if sizes[0] == sizes[1] else "x".join(sizes)) + marks


def centre(view: tuple[View, View] | None) -> str:
    """Return where the first cell's window has its middle, in pixels down and across."""
    if view is None or all(axis.whole for axis in view):
        return ""
    places = [f"{axis.centre:.4g}" for axis in view]
    return places[0] if places[0] == places[1] else ",".join(places)


def jump(view: tuple[View, View] | None) -> str:
    """Return how far apart cells lie, in pixels."""
    if view is None or not any(axis.jump for axis in view):
        return ""
    jumps = [f"{axis.jump:.4g}" for axis in view]
    return jumps[0] if jumps[0] == jumps[1] else "x".join(jumps)


NOTES = {
    "*": "each cell also depends on the whole image, through squeeze-excitation or statistics of the map",
    "~": "windows differ from cell to cell; this is the largest",
}
"""What the marks behind a receptive field mean."""
