"""Make a traced network round sizes up: every convolution and pool of stride s turns n cells into ceil(n / s).

torchvision's VGG rounds down, its GoogLeNet pools do neither and its Inception v3 is unpadded, so that their maps
would not line up with the strides that necks and heads count on. Only paddings and rounding modes change: parameters
keep their names and shapes, so that published weights fit. Where a window was unpadded it now reaches over the border
by half its size; away from the border the features are the same, up to a shift below one stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch.nn.functional as F
from torch import fx, nn

_POOLS: Final = (F.max_pool2d, F.avg_pool2d)
_POOL_ARGUMENTS: Final = ("input", "kernel_size", "stride", "padding")


def round_up(network: fx.GraphModule) -> None:
    """Edit the modules and the functional pools of `network` in place.

    Raises ValueError for a layer that padding cannot make round up, such as a 4x4 convolution of stride 4.
    """
    for node in network.graph.nodes:
        if node.op == "call_module":
            # Tracing stops at some modules of several layers, such as torchvision's Conv2dNormActivation.
            for path, layer in network.get_submodule(str(node.target)).named_modules(prefix=str(node.target)):
                _edit_module(layer, path)
        elif node.op == "call_function" and node.target in _POOLS:
            _edit_call(node)
    network.recompile()


def _edit_module(module: nn.Module, name: str) -> None:
    if isinstance(module, nn.Conv2d) and not isinstance(module.padding, str):
        module.padding = tuple(
            _conv_padding(*window, name)
            for window in zip(module.kernel_size, module.dilation, module.padding, strict=True)
        )
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        module.padding, module.ceil_mode = _pool_padding(module.kernel_size, module.stride, name)


def _edit_call(node: fx.Node) -> None:
    given: dict[str, Any] = {**dict(zip(_POOL_ARGUMENTS, node.args, strict=False)), **node.kwargs}
    stride = given.get("stride") or given["kernel_size"]
    given["padding"], given["ceil_mode"] = _pool_padding(given["kernel_size"], stride, node.name)
    node.args, node.kwargs = (given.pop("input"),), given


def _conv_padding(kernel: int, dilation: int, padding: int, name: str) -> int:
    reach = dilation * (kernel - 1)
    if reach % 2 or padding not in (0, reach // 2):
        raise ValueError(
            f"the convolution {name!r} (kernel {kernel}, padding {padding}) cannot be made to round sizes up; "
            "kernels have to be odd"
        )
    return reach // 2


def _pool_padding(kernel: int | Sequence[int], stride: int | Sequence[int], name: str) -> tuple[int, bool]:
    """Return padding and ceil_mode: half an odd window, or none where windows tile the map."""
    window, step = (value if isinstance(value, int) else value[0] for value in (kernel, stride))
    if window % 2:
        return window // 2, False
    if window == step:
        return 0, True
    raise ValueError(f"the pool {name!r} (kernel {window}, stride {step}) cannot be made to round sizes up")
