"""Say which tensor of torchvision's VGG, ResNet or GoogLeNet each tensor of a ConvNet is, and take them over.

The names follow from the stages, so every depth of a kind has them: `vgg11` to `vgg19`, `resnet18` to `resnet152`,
`googlenet`; not `vgg16_bn`, whose convolutions have a bias in front of the norm. Names and shapes are compared and
nothing else: the published numbers come out when activation, `norm_eps` and pools are the published ones too, and
under `padding=published`.

    names = torchvision_names(net)
    net.load_state_dict(converted(net.state_dict(), names, torchvision.models.resnet18().state_dict()))
    head.load_state_dict(converted(head.state_dict(), head_names(head), ...))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from string import ascii_lowercase
from typing import Final

import torch
from torch import Tensor

from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.backbones.description import Conv, Pool, Stage
from visionkit.models.contracts import Head
from visionkit.models.heads.linear import LinearHead
from visionkit.models.heads.vgg import VGGHead

_SHOWN: Final = 3
"""How many wrong tensors an error names."""

_COUNTER: Final = "num_batches_tracked"


def torchvision_names(net: ConvNet) -> dict[str, str]:
    """Return {name in `net.state_dict()`: name in torchvision's}.

    Raises ValueError when nothing of torchvision is built like `net`.
    """
    modules = dict(_counterparts(net))
    names = {}
    for name in net.state_dict():
        module, _, tensor = name.rpartition(".")
        names[name] = f"{modules[module]}.{tensor}"
    return names


def head_names(head: Head) -> dict[str, str]:
    """Return {name in `head.state_dict()`: name in torchvision's}: `fc` of ResNet and GoogLeNet, VGG's `classifier`.

    Raises ValueError for other heads.
    """
    if isinstance(head, LinearHead) and not head.auxiliary_classifiers:
        return {name: name.replace("classifier", "fc") for name in head.state_dict()}
    if isinstance(head, VGGHead):
        return {name: name for name in head.state_dict()}
    raise ValueError(f"{type(head).__name__} has no counterpart among torchvision's classifiers")


def converted(own: Mapping[str, Tensor], names: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict with the names of `own` and torchvision's `tensors`; what it does not ask for stays out.

    Counters of batches, which files of old lack, begin at 0. Raises ValueError that names the first tensors that are
    missing or have another shape.
    """
    problems, found = [], {}
    for name, mine in own.items():
        theirs = names[name]
        if theirs in tensors and tensors[theirs].shape == mine.shape:
            found[name] = tensors[theirs]
        elif theirs not in tensors and theirs.endswith(f".{_COUNTER}"):
            found[name] = torch.zeros_like(mine)
        elif theirs not in tensors:
            problems.append(f"{theirs} (for {name}) is missing")
        else:
            problems.append(f"{theirs} is {list(tensors[theirs].shape)} where {name} is {list(mine.shape)}")
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ValueError(f"torchvision's tensors do not fit: {'; '.join(problems[:_SHOWN])}{more}")
    return found


def _counterparts(net: ConvNet) -> Iterator[tuple[str, str]]:
    """Yield the names of each layer with tensors: ours, torchvision's."""
    blocks = {layer.block for layer in net.stage_layers if isinstance(layer, Stage)}
    stem = [type(layer) for layer in net.stem_layers]
    if net.style.pooling != "convolution":
        if not stem and blocks == {"plain"} and net.style.norm == "none":
            return _vgg(net.stage_layers)
        if net.style.norm == "batch":
            four = [type(layer) for layer in net.stage_layers] == [Stage] * 4
            if stem == [Conv, Pool] and four and blocks in ({"residual"}, {"bottleneck"}):
                return _resnet(net.stage_layers)
            if stem == [Conv, Pool, Conv, Conv] and blocks == {"inception"}:
                return _googlenet(net.stage_layers)
    raise ValueError(
        "torchvision has no network like this one: its VGGs have no stem, plain blocks and norm=none; its ResNets "
        "a stem of a convolution and a pool, four stages of residual or of bottleneck blocks and norm=batch; its "
        "GoogLeNet a stem of a convolution, a pool and two convolutions, inception blocks and norm=batch; and none "
        "has pooling=convolution"
    )


def _vgg(layers: Sequence[Stage | Pool]) -> Iterator[tuple[str, str]]:
    place = 0  # in torchvision's flat list of convolutions, activations and pools
    for index, layer in enumerate(layers):
        place += layer.stride > 1  # a pool by itself, or the one that a stage begins with
        for depth in range(len(layer.widths) if isinstance(layer, Stage) else 0):
            yield f"stages.{index}.{depth}.1.0", f"features.{place}"
            place += 2


def _resnet(layers: Sequence[Stage | Pool]) -> Iterator[tuple[str, str]]:
    yield from (("stem.0.0", "conv1"), ("stem.0.1", "bn1"))
    for index, layer in enumerate(layers):
        for depth in range(len(layer.widths) if isinstance(layer, Stage) else 0):
            ours, theirs = f"stages.{index}.{depth}", f"layer{index + 1}.{depth}"
            for number, part in enumerate(("first", "second", "third"), start=1):
                yield f"{ours}.{part}.0", f"{theirs}.conv{number}"
                yield f"{ours}.{part}.1", f"{theirs}.bn{number}"
            yield from ((f"{ours}.shortcut.{step}", f"{theirs}.downsample.{step}") for step in (0, 1))


def _googlenet(layers: Sequence[Stage | Pool]) -> Iterator[tuple[str, str]]:
    for number, place in enumerate((0, 2, 3), start=1):
        yield from _basic(f"stem.{place}", f"conv{number}")
    stages = [(index, layer) for index, layer in enumerate(layers) if isinstance(layer, Stage)]
    for number, (index, layer) in enumerate(stages, start=3):
        for depth in range(len(layer.widths)):
            ours, theirs = f"stages.{index}.{depth}.branches", f"inception{number}{ascii_lowercase[depth]}"
            yield from _basic(f"{ours}.0", f"{theirs}.branch1")
            for branch, step in product((1, 2), (0, 1)):
                yield from _basic(f"{ours}.{branch}.{step}", f"{theirs}.branch{branch + 1}.{step}")
            yield from _basic(f"{ours}.3.1", f"{theirs}.branch4.1")


def _basic(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{ours}.0", f"{theirs}.conv"), (f"{ours}.1", f"{theirs}.bn"))
