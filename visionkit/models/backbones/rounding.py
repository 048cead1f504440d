"""Make a network round sizes up: every convolution and pool of stride s turns n cells into ceil(n / s).

torchvision's VGG and DenseNet round down, ConvNeXt's patches do too, GoogLeNet's pools do neither and the Inceptions
are unpadded, so that their maps would not line up with the strides that necks and heads count on. Parameters keep
their names and shapes, so that published weights fit. An odd window is padded by half its size, and away from the
border the features are the same, up to a shift below one stride. Windows that tile the map stay where they are; the
last of them reaches over the right and the lower border, past which a convolution sees zeros and a pool the border's
own values again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

_POOL_ARGUMENTS: Final = ("input", "kernel_size", "stride", "padding")


def round_up(network: nn.Module, *, every: bool = True) -> None:
    """Edit the modules of `network` in place, and the functional pools of a traced one.

    Subclasses of torch's own layers are left as they are: such as timm's `Conv2dSame` pad by themselves. Raises
    ValueError for a layer that cannot be made to round up, such as a 4x4 convolution of stride 2; without `every` such
    layers are left as they are, too.
    """
    for path, layer in list(network.named_modules()):
        parent, _, attribute = path.rpartition(".")
        try:
            edited = _edited(layer, path)
        except ValueError:
            if every:
                raise
            continue
        if edited is not layer:
            setattr(network.get_submodule(parent), attribute, edited)
    if isinstance(network, fx.GraphModule):
        for node in network.graph.nodes:
            if node.op == "call_function" and node.target in _TILED:
                _edit_call(node)
        network.recompile()


class TiledConv2d(nn.Conv2d):
    """A convolution whose stride is its window: the last one may reach over the right and the lower border."""

    def forward(self, features: Tensor) -> Tensor:
        """Return one cell a window that holds anything of the map."""
        # As much as any size may lack: what no window reaches is not read, and the amount is no function of the size,
        # which torch.export could not follow.
        return super().forward(F.pad(features, (0, self.stride[1] - 1, 0, self.stride[0] - 1)))


class TiledPool(nn.Module):
    """A pool, "max" or "avg", whose stride is its window: the last one may reach over the right and lower border."""

    def __init__(self, kind: str, window: int) -> None:
        super().__init__()
        self.kind = kind
        self.window = window

    def forward(self, features: Tensor) -> Tensor:
        """Return one cell a window that holds anything of the map."""
        pool = tiled_max_pool if self.kind == "max" else tiled_avg_pool
        return pool(features, self.window)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.kind}, window={self.window}"


def tiled_max_pool(features: Tensor, window: int) -> Tensor:
    """Return the maximum of each window; the last one may reach over the right and the lower border."""
    return F.max_pool2d(_continued(features, window - 1), window)


def tiled_avg_pool(features: Tensor, window: int) -> Tensor:
    """Return the mean of each window; the last one may reach over the right and the lower border."""
    return F.avg_pool2d(_continued(features, window - 1), window)


def _continued(features: Tensor, cells: int) -> Tensor:
    """Repeat the last column and row: ceil_mode=True is not for torch.export, where sizes are not known."""
    for axis in (3, 2):
        features = torch.cat([features, *[features.narrow(axis, features.shape[axis] - 1, 1)] * cells], axis)
    return features


_TILED: Final = {F.max_pool2d: tiled_max_pool, F.avg_pool2d: tiled_avg_pool}


def _edited(layer: nn.Module, path: str) -> nn.Module:
    if type(layer) is nn.Conv2d and not isinstance(layer.padding, str):
        tiles = layer.kernel_size == layer.stride and layer.padding == (0, 0)
        if tiles and any(size % 2 == 0 for size in layer.kernel_size):
            return _tiled(layer)
        windows = zip(layer.kernel_size, layer.dilation, layer.padding, strict=True)
        layer.padding = tuple(_conv_padding(*window, path) for window in windows)
    elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and type(layer) in (nn.MaxPool2d, nn.AvgPool2d):
        window, step = _side(layer.kernel_size), _side(layer.stride)
        if _tiles(window, step, path):
            return TiledPool("max" if isinstance(layer, nn.MaxPool2d) else "avg", window)
        layer.padding, layer.ceil_mode = window // 2, False
    return layer


def _tiled(layer: nn.Conv2d) -> TiledConv2d:
    with torch.device("meta"):
        twin = TiledConv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride,  # type: ignore[arg-type]
            groups=layer.groups, bias=layer.bias is not None,
        )  # fmt: skip
    twin.weight, twin.bias = layer.weight, layer.bias
    return twin.train(layer.training)


def _edit_call(node: fx.Node) -> None:
    given: dict[str, Any] = {**dict(zip(_POOL_ARGUMENTS, node.args, strict=False)), **node.kwargs}
    window = _side(given["kernel_size"])
    if _tiles(window, _side(given.get("stride") or window), node.name):
        node.target = _TILED[node.target]  # type: ignore[index]
        node.args, node.kwargs = (given["input"], window), {}
        return
    given["padding"], given["ceil_mode"] = window // 2, False
    node.args, node.kwargs = (given.pop("input"),), given


def _conv_padding(kernel: int, dilation: int, padding: int, path: str) -> int:
    reach = dilation * (kernel - 1)
    if reach % 2 or padding not in (0, reach // 2):
        raise ValueError(
            f"the convolution {path!r} (kernel {kernel}, padding {padding}) cannot be made to round sizes up; "
            "kernels have to be odd, or as large as their stride"
        )
    return reach // 2


def _tiles(window: int, step: int, path: str) -> bool:
    """Return whether a pool's windows tile the map; else they are odd and take half their size as padding."""
    if window % 2:
        return False
    if window == step:
        return True
    raise ValueError(f"the pool {path!r} (kernel {window}, stride {step}) cannot be made to round sizes up")


def _side(value: int | Sequence[int]) -> int:
    return value if isinstance(value, int) else value[0]
