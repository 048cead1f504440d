"""Name what a summary holds: the layers in order, the levels between the parts, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from visionkit.engine.summary.layout import Field
from visionkit.engine.summary.windows import Irregular, Same, Windows


class View(NamedTuple):
    """What the cells of a map see along one axis, in pixels."""

    size: float  # of a cell's window, padding included; of the largest one where they differ
    centre: float  # of the first cell's window; the middle of the first pixel is 0.5
    jump: float  # from cell to cell on average; 0 where all see the same
    first: tuple[float, float]  # edges of the first cell's window
    same_size: bool
    whole: bool  # one window for all cells, and it covers the image
    context: bool  # beyond its window each cell also depends on the whole image


@dataclass
class Layer:
    """One operation that makes a tensor, with the pointwise ones right behind it."""

    module: str  # as named in the state dict
    kind: str
    output: tuple[int, ...]  # without the batch
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    then: list[str] = field(default_factory=list)
    parameters: int = 0  # that no layer before uses
    shared: bool = False  # all its parameters were counted with a layer before
    multiply_adds: int = 0
    memory: int = 0  # bytes of the tensors that it makes for one image
    view: tuple[View, View] | None = None  # down and across; None where it could not be told
    named: bool = False  # whether its part is told by name, as there are several heads

    @property
    def part(self) -> str:
        """The part of the network: `backbone`, `neck`, `head` or `input`; if named, such as `head segmentation`."""
        top, *below = self.module.split(".")
        part = {"necks": "neck", "heads": "head", "": "input"}.get(top, top)
        return f"{part} {below[0]}" if self.named and part in ("neck", "head") and below else part

    @property
    def stage(self) -> str:
        """The part and, where its maps have one, their stride in pixels: `backbone /8`."""
        if self.view is None:
            return self.part
        jump = self.view[0].jump
        return f"{self.part} /{jump:.3g}" if jump else f"{self.part}, pooled"


class Map(NamedTuple):
    """A level that a backbone or a neck hands on."""

    part: str
    channels: int
    stride: int  # as announced
    output: tuple[int, ...]
    view: tuple[View, View] | None


@dataclass
class Summary:
    """All that is known of a network at one size of images."""

    title: str
    settings: Mapping[str, Any]
    size: tuple[int, int]
    layers: list[Layer]
    levels: list[Map]
    parameters: int
    trainable: int
    idle: dict[str, int]  # parameters by module that only training uses
    buffers: int

    @property
    def multiply_adds(self) -> int:
        """Those of all layers, for one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def memory(self) -> int:
        """Bytes of the tensors that all layers make, for one image."""
        return sum(layer.memory for layer in self.layers)

    def stages(self) -> dict[str, tuple[int, int, int]]:
        """Return parameters, multiply-adds and memory of each stage, in order."""
        return self._costs(lambda layer: layer.stage)

    def parts(self) -> dict[str, tuple[int, int, int]]:
        """Return the same of each part: what all heads share, and what each has of its own."""
        return self._costs(lambda layer: layer.part)

    def _costs(self, group: Callable[[Layer], str]) -> dict[str, tuple[int, int, int]]:
        found: dict[str, tuple[int, int, int]] = {}
        for layer in self.layers:
            before = found.get(group(layer), (0, 0, 0))
            own = (layer.parameters, layer.multiply_adds, layer.memory)
            found[group(layer)] = (before[0] + own[0], before[1] + own[1], before[2] + own[2])
        return found

    def as_json(self) -> dict[str, Any]:
        """Return plain data with exact numbers."""
        return {
            "title": self.title,
            "settings": dict(self.settings),
            "size": list(self.size),
            "totals": {
                "parameters": self.parameters,
                "trainable_parameters": self.trainable,
                "parameters_of_training_only": self.idle,
                "buffers": self.buffers,
                "multiply_adds": self.multiply_adds,
                "activation_bytes": self.memory,
            },
            "parts": [
                {"part": part, "parameters": own[0], "multiply_adds": own[1], "activation_bytes": own[2]}
                for part, own in self.parts().items()
            ],
            "levels": [
                {
                    "part": level.part,
                    "channels": level.channels,
                    "stride": level.stride,
                    "output": list(level.output),
                    "receptive_field": _json(level.view),
                }
                for level in self.levels
            ],
            "layers": [_layer_json(layer) for layer in self.layers],
        }


def _layer_json(layer: Layer) -> dict[str, Any]:
    return {
        "module": layer.module,
        "part": layer.part,
        "stage": layer.stage,
        "kind": layer.kind,
        "then": layer.then,
        "kernel": list(layer.kernel) or None,
        "stride": list(layer.stride) or None,
        "dilation": list(layer.dilation) or None,
        "groups": layer.groups,
        "output": list(layer.output),
        "parameters": layer.parameters,
        "shared": layer.shared,
        "multiply_adds": layer.multiply_adds,
        "activation_bytes": layer.memory,
        "receptive_field": _json(layer.view),
    }


def _json(view: tuple[View, View] | None) -> dict[str, Any] | None:
    return None if view is None else dict(zip(("height", "width"), (one._asdict() for one in view), strict=True))


def view(seen: Field) -> tuple[View, View]:
    """Return what the cells of a tensor see, down and across."""
    cells = {axis: length for dimension in seen.layout for axis, length in dimension if axis is not None}
    both = zip(seen.windows, (cells.get(0, 1), cells.get(1, 1)), seen.pixels, strict=True)
    down, across = (_view(own, number, pixels) for own, number, pixels in both)
    return down, across


def _view(own: Windows, cells: int, pixels: int) -> View:
    first = own.at(0)
    sizes = {round(size, 6) for size in _sizes(own, cells)}
    whole = isinstance(own, Same) and first.low <= 0 and first.high >= pixels
    centre = (first.low + first.high) / 2
    return View(max(sizes), centre, own.jump, (first.low, first.high), len(sizes) == 1, whole, own.context)


def _sizes(own: Windows, cells: int) -> Iterable[float]:
    for cell in range(cells if isinstance(own, Irregular) else 1):
        window = own.at(cell)
        yield window.high - window.low
