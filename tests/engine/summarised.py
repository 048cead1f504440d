"""Build networks on the meta device as the summary does, and find receptive fields by gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from torch import Tensor
from torch.overrides import TorchFunctionMode

from visionkit.config.folders import conf_dir
from visionkit.engine.summary.composing import of_config
from visionkit.engine.summary.layout import Field
from visionkit.engine.summary.tracing import Trace
from visionkit.models.network import Network

IDENTITIES = {
    F.batch_norm, F.group_norm, F.layer_norm, F.relu, F.relu6, torch.relu, torch.relu_, Tensor.relu, F.hardtanh,
    F.hardswish, F.silu, F.gelu, F.leaky_relu, torch.tanh, F.tanh, torch.clamp, Tensor.clamp,
}  # fmt: skip
GATES = {F.hardsigmoid, torch.sigmoid, Tensor.sigmoid, F.sigmoid}


def backbones() -> list[str]:
    """Return every backbone of the configs."""
    return sorted(path.stem for path in Path(conf_dir(), "backbone").glob("*.yaml"))


def composed(*overrides: str) -> Network:
    """Return the network of a summary's overrides, on the meta device."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("summary", overrides=list(overrides), return_hydra_config=True)
        choices = dict(config.hydra.runtime.choices)
        del config.hydra
        return of_config(config, choices, overrides).network


class Averaging(TorchFunctionMode):
    """Makes of a network averages of what its layers see, in one channel, so that no gradient is lost or cancelled.

    Convolutions average their windows and channels, whatever their weights, max pools average too, activations and
    norms do nothing and gates are open, unless `gates` stay as they are.
    """

    def __init__(self, gates: bool = False) -> None:
        super().__init__()
        self.gates = gates

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.conv2d:
            return self._convolution(*args, **kwargs)
        if func is F.linear:
            return args[0].mean(-1, keepdim=True)
        if func in IDENTITIES:
            return args[0]
        if func in GATES and not self.gates:
            return torch.ones_like(args[0])
        if func in {torch.max_pool2d, F.max_pool2d}:
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
            given = {**dict(zip(names, args[1:], strict=False)), **kwargs}
            assert given.pop("dilation", 1) in (1, (1, 1), [1, 1])
            given.pop("return_indices", None)
            return F.avg_pool2d(args[0], **given)
        real = [torch.ones(a.shape).double() if isinstance(a, Tensor) and a.is_meta else a for a in args]
        return func(*real, **kwargs)

    @staticmethod
    def _convolution(
        images: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups=1
    ) -> Tensor:
        window = torch.ones(1, 1, *weight.shape[2:], dtype=torch.float64)
        mean = images.mean(1, keepdim=True)
        return F.conv2d(mean, window / window.numel(), None, stride, padding, dilation)


def maps(network: Network, images: Tensor) -> list[Tensor]:
    """Return the maps of the backbone, of the neck and, of a head that makes masks, its logits."""
    size = (images.shape[2], images.shape[3])
    features = network.features(images)[: len(network.backbone.levels)]
    behind = [level for neck in network.necks.values() for level in neck(features)]
    logits = [getattr(outputs, "logits", features[0]) for outputs in network.outputs(features, size).values()]
    return [*features, *behind, *(one for one in logits if one.ndim == 4)]


def predicted(network: Network, size: tuple[int, int]) -> list[tuple[tuple[int, ...], Field | None]]:
    """Return shape and field of each of the `maps`, as the summary works them out."""
    images = torch.empty(1, 3, *size, device="meta")
    with torch.no_grad(), Trace(network, images) as trace:
        found = maps(network, images)
    return [(tuple(one.shape), trace.field(one)) for one in found]


def seen(images: Tensor, one: Tensor, row: int, column: int) -> list[tuple[int, int]]:
    """Return the edges, down and across, of the pixels that a cell's gradient reaches."""
    (gradient,) = torch.autograd.grad(one[0, :, row, column].sum(), images, retain_graph=True)
    used = gradient[0].abs().sum(0) > 0
    lines = [used.any(1).nonzero().flatten(), used.any(0).nonzero().flatten()]
    return [(int(line.min()), int(line.max()) + 1) for line in lines]


def compare(network: Network, size: tuple[int, int], phases: int = 3) -> int:
    """Compare what cells in the middle of every map see with gradients; return how many windows
    lay inside the image along its longer side."""
    images = torch.rand(1, 3, *size, dtype=torch.float64).requires_grad_()
    with Averaging():
        real = maps(network, images)
    inside = 0
    for (shape, field), one in zip(predicted(network, size), real, strict=True):
        assert shape[2:] == one.shape[2:]
        assert field is not None
        for phase in range(phases):
            cell = [min(side // 2 + phase, side - 1) for side in shape[2:]]
            found = seen(images, one, *cell)
            for axis in (0, 1):
                low, high = field.windows[axis].at(cell[axis])
                if low >= 0 and high <= size[axis]:
                    inside += axis == size.index(max(size))
                    assert found[axis] == (low, high), (shape, axis, cell)
                else:  # an unpadded layer may leave out a border
                    assert low <= found[axis][0] < found[axis][1] <= high, (shape, axis, cell)
    return inside
