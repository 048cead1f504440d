"""Run a network on the meta device and note every operation that makes something of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from visionkit.engine.summary.counting import multiply_adds
from visionkit.engine.summary.fields import VIEWS, pointwise, result
from visionkit.engine.summary.known import Known, pair
from visionkit.engine.summary.layers import Layer, Map, view
from visionkit.engine.summary.layout import Field, of_image
from visionkit.models.contracts import Backbone, Neck
from visionkit.models.network import Network

KINDS = {
    "convolution": "conv",
    "max_pool2d_with_indices": "max pool",
    "avg_pool2d": "avg pool",
    "_adaptive_avg_pool2d": "avg pool",
    "adaptive_max_pool2d": "max pool",
    "mean": "mean",
    "upsample_nearest2d": "nearest",
    "upsample_bilinear2d": "bilinear",
    "constant_pad_nd": "pad",
    "cat": "concat",
    "native_batch_norm": "batch norm",
    "cudnn_batch_norm": "batch norm",
    "native_group_norm": "group norm",
    "native_layer_norm": "layer norm",
    **dict.fromkeys(("mm", "addmm", "linear"), "linear"),
    **dict.fromkeys(("bmm", "baddbmm"), "matmul"),
    "_to_copy": "cast",
}
"""What layers are called; others have ATen's name."""


BY_VALUE = {"hardswish", "hardsigmoid", "hardtanh", "silu", "gelu", "elu", "leaky_relu", "mish", "prelu"}
"""What works value by value, whether torch tags it so or not."""

MAKERS = {"new_zeros", "new_ones", "new_empty", "new_full", "zeros_like", "ones_like", "empty_like", "full_like"}
"""What takes of an image's tensor its kind alone."""


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what is computed from `images` while it is entered, and which of the network's modules computes it."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers = [Layer("", "images", tuple(images.shape[1:]), memory=images.numel() * images.element_size())]
        self.layers[0].view = view(of_image(images.shape))
        self.modules = [""]  # from the outermost that runs to the innermost
        self.counted: set[int] = set()  # parameters
        self._fields: dict[int, Field | None] = {id(images): of_image(images.shape)}
        self._made_by: dict[int, Layer] = {id(images): self.layers[0]}
        self._weights: dict[int, list[nn.Parameter]] = {id(weight): [weight] for weight in network.parameters()}
        self._alive: list[Any] = [images]  # so that no other tensor gets the id of one

    def known(self, tensor: Tensor) -> bool:
        """Return whether a tensor depends on the images."""
        return id(tensor) in self._fields

    def field(self, tensor: Tensor) -> Field | None:
        """Return what a tensor sees; None where that could not be told."""
        return self._fields.get(id(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do the operation, then note it."""
        made = func(*args, **(kwargs or {}))
        given = _named(func, args, kwargs or {})
        tensors = list(_tensors(given.values()))
        outputs = list(_tensors([made]))
        self._alive += outputs
        weights = [weight for tensor in tensors for weight in self._weights.get(id(tensor), [])]
        if any(self.known(tensor) for tensor in tensors) and func.overloadpacket.__name__ not in MAKERS:
            self._note(func, given, outputs, weights)
        else:
            for output in outputs:
                self._weights[id(output)] = weights
        return made

    def _note(self, func: Any, given: dict[str, Any], outputs: list[Tensor], weights: list[nn.Parameter]) -> None:
        name = func.overloadpacket.__name__
        inputs = [tensor for tensor in _tensors(given.values()) if self.known(tensor)]
        arguments = {key: self._replaced(value) for key, value in given.items()}
        by_value = torch.Tag.pointwise in func.tags or name.rstrip("_") in BY_VALUE
        fields = []
        for index, output in enumerate(outputs):
            if by_value:
                known = all(self.field(tensor) for tensor in inputs)
                fields.append(pointwise(arguments, output.shape) if known else None)
            else:
                fields.append(result(name, arguments, output.shape, index))
        new = [output for output in outputs if not any(output is tensor for tensor in inputs)]
        before = self._made_by[id(inputs[0])]
        if (by_value and not weights and len({id(tensor) for tensor in inputs}) == 1) or name in VIEWS:
            layer = before
            if by_value:
                layer.then.append(name.rstrip("_"))
        else:
            layer = self._layer(name, given, outputs[0], weights)
            layer.view = view(fields[0]) if fields[0] else None
            layer.multiply_adds = multiply_adds(name, given, outputs[0])
            self.layers.append(layer)
        if name not in VIEWS or name in {"clone", "_to_copy"}:
            layer.memory += sum(output.numel() * output.element_size() for output in new[:1])
        for output, found in zip(outputs, fields, strict=True):
            self._fields[id(output)] = found
            self._made_by[id(output)] = layer

    def _replaced(self, value: Any) -> Any:
        """Return an argument with what depends on the images in place of its tensors."""
        if isinstance(value, list | tuple):
            return [self._replaced(part) for part in value]
        return Known(value, self.field(value)) if isinstance(value, Tensor) and self.known(value) else value

    def _layer(self, name: str, given: Mapping[str, Any], made: Tensor, weights: list[nn.Parameter]) -> Layer:
        layer = Layer(self.modules[-1], KINDS.get(name, name.strip("_").split(".")[0]), tuple(made.shape[1:]))
        new = {id(weight): weight.numel() for weight in weights if id(weight) not in self.counted}
        self.counted |= set(new)
        layer.parameters = sum(new.values())
        layer.shared = bool(weights) and not new
        if name == "convolution":
            layer.kernel = tuple(given["weight"].shape[2:])
            layer.stride, layer.dilation = tuple(given["stride"]), tuple(given["dilation"])
            layer.groups = given["groups"]
            if given["transposed"]:
                layer.kind = "transposed conv"
            elif layer.groups > 1:
                layer.kind = "depthwise conv" if layer.groups == given["input"].shape[1] else "grouped conv"
        elif "kernel_size" in given:
            layer.kernel = pair(given["kernel_size"])
            layer.stride = pair(given["stride"] or layer.kernel)
        return layer


def run(network: Network, size: tuple[int, int]) -> tuple[Trace, list[Map]]:
    """Run one image of a size through a network on the meta device; return what was seen, and the levels."""
    images = torch.empty(1, network.mean.shape[1], *size, device="meta", dtype=torch.uint8)
    trace = Trace(network, images)
    levels: list[Map] = []

    def hand_on(part: str) -> Callable[..., None]:
        def note(module: nn.Module, _: Any, made: list[Tensor]) -> None:
            if isinstance(module, Backbone | Neck):
                for level, one in zip(module.levels, made, strict=False):  # maps for auxiliary classifiers follow
                    field = trace.field(one)
                    shape = tuple(one.shape[1:])
                    levels.append(Map(part, level.channels, level.stride, shape, view(field) if field else None))

        return note

    with watched(network, trace.modules), torch.no_grad(), trace:
        hooks = [network.backbone.register_forward_hook(hand_on("backbone"))]
        hooks += [
            neck.register_forward_hook(hand_on(f"neck {name}" if len(network.heads) > 1 else "neck"))
            for name, neck in network.necks.items()
        ]
        try:
            network(images)
        finally:
            for hook in hooks:
                hook.remove()
    return trace, levels


@contextmanager
def watched(network: nn.Module, names: list[str]) -> Iterator[None]:
    """Keep in `names` the names of the modules that run, the innermost last."""
    hooks = []
    for name, module in network.named_modules():

        def enter(*_: Any, name: str = name) -> None:
            names.append(name)

        def leave(*_: Any) -> None:
            names.pop()

        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _named(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of an operation by the names of its schema, defaults included."""
    schema = func._schema.arguments
    named = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return {**named, **{argument.name: value for argument, value in zip(schema, args, strict=False)}, **kwargs}


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
