"""Build a staged convolutional network from a description: how wide, how deep, which block, which stride."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeGuard

from torch import Tensor, nn

from visionkit.models.backbones.description import (
    BLOCKS,
    Conv,
    Description,
    Pool,
    Stage,
    read_stages,
    read_stem,
)
from visionkit.models.backbones.given import check_channels, check_in_channels, check_padding
from visionkit.models.blocks import Bottleneck, Inception, Residual, Style, init_convolutions
from visionkit.models.contracts import Backbone
from visionkit.models.recomputing import recompute
from visionkit.suggest import did_you_mean
from visionkit.types import Level


class ConvNet(Backbone):
    """A stem and some stages; the block of a stage makes it a VGG, a ResNet, a GoogLeNet or a MobileNet.

    `stem` lists layers with the fields of `Conv` or `Pool`, `stages` entries with those of `Pool` or with block,
    channels, depth, stride and, if need be, kernel; an inception stage may have the widths of its branches in place of
    channels and depth (`description.py`). One level is announced a stride: the last layer of that stride. The full
    resolution is none unless there is no other. The papers are named at the blocks (`models/blocks/`).

    `activation`, `pooling`, `norm` and `norm_eps` hold for the whole network (`Style`). `dropout` is the share (0 to 1)
    of channels that training leaves out behind every stage (Tompson et al.: Efficient Object Localization Using
    Convolutional Networks, 2015, section 3.2). `stochastic_depth` is the probability with which training leaves out the
    last residual or bottleneck block; from the first on it rises evenly (Huang et al. 2016, section 3).

    Without norm the convolutions of a residual block begin divided by the root of the number of such blocks: their sum
    keeps its scale at any depth (Hayou et al.: Stable ResNet, 2021, section 3).

    Raises ValueError for a missing, unknown or impossible field.
    """

    def __init__(
        self,
        stem: Description,
        stages: Description,
        in_channels: int = 3,
        activation: str = "relu",
        pooling: str = "max",
        norm: str = "batch",
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        padding: str | None = None,
    ) -> None:
        super().__init__()
        check_padding(padding)
        check_in_channels(in_channels)
        for name, share in (("dropout", dropout), ("stochastic_depth", stochastic_depth)):
            if not 0 <= share < 1:
                raise ValueError(f"{name}={share}; it has to be at least 0 and below 1")
        self.in_channels = in_channels
        self.style = Style(activation, norm, norm_eps, pooling, padding or "same")
        self.stem_layers, self.stage_layers = read_stem(stem), read_stages(stages)
        depths = [len(layer.widths) for layer in self.stage_layers if _adds(layer)]
        if stochastic_depth and not depths:
            raise ValueError(
                f"stochastic_depth={stochastic_depth} leaves out residual and bottleneck blocks, of which there are "
                "none; give stochastic_depth=0"
            )
        drops = iter([stochastic_depth * (step + 1) / sum(depths) for step in range(sum(depths))])
        self.stem, self.stages = nn.ModuleList(), nn.ModuleList()
        channels = in_channels
        for layer in self.stem_layers:
            self.stem.append(self._layer(channels, layer))
            channels = layer.channels if isinstance(layer, Conv) else channels
        for index, stage in enumerate(self.stage_layers):
            if isinstance(stage, Pool):
                self.stages.append(self._layer(channels, stage))
                continue
            try:
                blocks = self._blocks(channels, stage, drops)
            except ValueError as error:
                raise ValueError(f"stages[{index}].{error}") from error
            self.stages.append(nn.Sequential(*blocks, nn.Dropout2d(dropout)) if dropout else nn.Sequential(*blocks))
            channels = stage.widths[-1]
        announced = _announced(in_channels, (*self.stem_layers, *self.stage_layers))
        self.announced, self.levels = tuple(announced), tuple(announced.values())
        init_convolutions(self, mode="fan_in" if norm == "none" else "fan_out")
        if norm == "none":
            for block in self.modules():
                if isinstance(block, Residual | Bottleneck):
                    block.damp(sum(depths) ** -0.5)

    def _layer(self, channels: int, layer: Conv | Pool) -> nn.Module:
        if isinstance(layer, Conv):
            return self.style.conv(channels, layer.channels, layer.kernel, layer.stride)
        return self.style.pool(channels, layer.pool, layer.stride, padding=layer.padding, ceil=layer.ceil)

    def _blocks(self, channels: int, stage: Stage, drops: Iterator[float]) -> list[nn.Module]:
        kind = BLOCKS[stage.block]
        made: list[nn.Module] = []
        block: nn.Module
        for index, width in enumerate(stage.widths):
            stride = 1 if index else stage.stride
            if issubclass(kind, Residual | Bottleneck):
                block = kind(channels, width, stride, self.style, kernel=stage.kernel, drop=next(drops))
            elif issubclass(kind, Inception):
                branches = stage.branches[index] if stage.branches else None
                block = kind(channels, width, stride, self.style, kernel=stage.kernel, branches=branches)
            else:
                block = kind(channels, width, stride, self.style, kernel=stage.kernel)
            made.append(block)
            channels = width
        return made

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one map a level. Raises ValueError for images with another number of channels."""
        check_channels(images, self.in_channels)
        features = images
        maps = []
        for index, layer in enumerate((*self.stem, *self.stages)):
            features = layer(features)
            if index in self.announced:
                maps.append(features)
        return maps

    def recompute_stages(self) -> None:
        """Compute each layer of the stem and each stage again in backward."""
        recompute((*self.stem, *self.stages))

    def level_of(self, name: str) -> int:
        """Return the index of the finest level that needs a tensor of the state dict. Raises ValueError for others."""
        part, _, rest = name.partition(".")
        if name not in self.state_dict():
            raise ValueError(f"{name!r} is no tensor of this network; {did_you_mean(name, self.state_dict())}")
        place = int(rest.partition(".")[0]) + (len(self.stem) if part == "stages" else 0)
        return next(level for level, last in enumerate(self.announced) if place <= last)


def _announced(channels: int, layers: Sequence[Conv | Pool | Stage]) -> dict[int, Level]:
    """Return, by the place of the layer that makes it, one level a stride; full resolution only where it is alone."""
    stride = 1
    last: dict[int, tuple[int, Level]] = {}
    for place, layer in enumerate(layers):
        stride *= layer.stride
        if isinstance(layer, Conv):
            channels = layer.channels
        elif isinstance(layer, Stage):
            channels = layer.widths[-1]
        last[stride] = (place, Level(channels, stride))
    return dict(found for stride, found in last.items() if stride > 1 or len(last) == 1)


def _adds(layer: Stage | Pool) -> TypeGuard[Stage]:
    return isinstance(layer, Stage) and issubclass(BLOCKS[layer.block], Residual | Bottleneck)
