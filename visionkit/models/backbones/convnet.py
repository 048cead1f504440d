"""Build a staged convolutional network from a description: how wide, how deep, which block, which stride."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from torch import Tensor, nn

from visionkit.models.blocks import Inception, Plain, Residual, conv_bn, init_convolutions
from visionkit.models.contracts import Backbone
from visionkit.suggest import did_you_mean
from visionkit.types import Level

_BLOCKS: Final[dict[str, type[Plain | Residual | Inception]]] = {
    "plain": Plain,
    "residual": Residual,
    "inception": Inception,
}


class Stem(NamedTuple):
    """The first convolution: `channels` out, an odd `kernel`, `stride`."""

    channels: int
    kernel: int
    stride: int


class Stage(NamedTuple):
    """`depth` blocks of one kind and width; the first of them has the stage's own `stride`."""

    block: str
    channels: int
    depth: int
    stride: int


class ConvNet(Backbone):
    """A stem and some stages; the block of a stage makes it a VGG, a ResNet or a GoogLeNet.

    `stem` has the fields of `Stem` and every entry of `stages` those of `Stage`. One level is announced a
    stride: the last stage of that stride. The papers are named at the blocks (`models/blocks.py`).

    Raises ValueError for a missing, unknown or impossible field.
    """

    def __init__(
        self, stem: Mapping[str, int], stages: Sequence[Mapping[str, str | int]], in_channels: int = 3
    ) -> None:
        super().__init__()
        _positive("in_channels", in_channels)
        first = _fields(Stem, stem, "stem")
        rest = [_fields(Stage, stage, f"stages[{index}]") for index, stage in enumerate(stages)]
        if first.kernel % 2 == 0:
            raise ValueError(f"stem.kernel={first.kernel} is even; an odd one keeps maps aligned, such as 3, 5 or 7")
        if not rest:
            raise ValueError("stages is empty; a backbone has at least one stage")
        self.in_channels = in_channels
        self.stem = conv_bn(in_channels, first.channels, first.kernel, first.stride)
        self.stages = nn.ModuleList()
        channels, stride = first.channels, first.stride
        by_stride: dict[int, tuple[int, Level]] = {}
        for index, stage in enumerate(rest):
            self.stages.append(_blocks(channels, stage, f"stages[{index}]"))
            channels, stride = stage.channels, stride * stage.stride
            by_stride[stride] = (index, Level(channels, stride))
        self.announced = tuple(index for index, _ in by_stride.values())
        self.levels = tuple(level for _, level in by_stride.values())
        init_convolutions(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one map a level. Raises ValueError for images with another number of channels."""
        if images.shape[1] != self.in_channels:
            raise ValueError(
                f"images have {images.shape[1]} channels but the backbone was built with "
                f"in_channels={self.in_channels}; images are (B, C, H, W)"
            )
        features = self.stem(images)
        maps = []
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if index in self.announced:
                maps.append(features)
        return maps


Fields = TypeVar("Fields", Stem, Stage)


def _fields(kind: type[Fields], given: Mapping[str, str | int], where: str) -> Fields:
    for key in given:
        if key not in kind._fields:
            raise ValueError(f"{where} has no field {key!r}; {did_you_mean(key, kind._fields)}")
    missing = [key for key in kind._fields if key not in given]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}; it takes {', '.join(kind._fields)}")
    for key, value in given.items():
        if key != "block":
            _positive(f"{where}.{key}", value)
    return kind(**given)  # type: ignore[arg-type]


def _positive(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}; it has to be a whole number of at least 1")


def _blocks(in_channels: int, stage: Stage, where: str) -> nn.Sequential:
    if stage.block not in _BLOCKS:
        raise ValueError(f"{where}.block={stage.block!r} is unknown; {did_you_mean(str(stage.block), _BLOCKS)}")
    block = _BLOCKS[stage.block]
    first = block(in_channels, stage.channels, stage.stride)
    return nn.Sequential(first, *(block(stage.channels, stage.channels, 1) for _ in range(stage.depth - 1)))
