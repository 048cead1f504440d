"""Wrap a torchvision classification network as a backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final

import torchvision
from torch import Tensor, nn
from torchvision.models import WeightsEnum, list_models

from visionkit.models.backbones import tracing
from visionkit.models.backbones.given import check_channels, check_in_channels, check_padding
from visionkit.models.backbones.inception_auxiliary import AUXILIARY
from visionkit.models.backbones.rounding import round_up
from visionkit.models.contracts import Backbone
from visionkit.models.recomputing import twice
from visionkit.suggest import did_you_mean
from visionkit.types import Level

# Without auxiliary classifiers, which are not the backbone's, and without a rescaling of the input: `expected_input`
# has it.
_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    name: {"aux_logits": False, "transform_input": False, "init_weights": False} for name in AUXILIARY
}

_MINUS_ONE_TO_ONE: Final = ("GoogLeNet_Weights", "Inception_V3_Weights")


class Torchvision(Backbone):
    """The part of a torchvision network that makes the named maps, initialised at random.

    `name` is one of `torchvision.models.list_models(module=torchvision.models)`; `levels` maps node names (as
    `torchvision.models.feature_extraction.get_graph_node_names` lists them) to [channels, stride], fine to coarse.
    Names and shapes in `body.state_dict()` are torchvision's, the first convolution's `in_channels` apart. Everything
    that no level needs, such as VGG's 120 million classifier weights, is dropped before memory is taken for it.

    `padding` is `same` (also None), by which layers round sizes up (`rounding.py`), or `published`, which leaves
    torchvision's. `dilate` is the number of last stages of a ResNet of bottlenecks that dilate their windows instead
    of striding (Chen et al.: Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, section 3.1).

    `first_convolution` is the name in the state dict of the weight that sees the image, for loading published ones;
    `auxiliary` has what its auxiliary classifiers read, by the prefix of their tensors in torchvision's files.

    Raises ValueError for an unknown network, node or padding, and for a network that cannot be cut out or dilated.
    """

    def __init__(
        self,
        name: str,
        levels: Mapping[str, Sequence[int]],
        padding: str | None = None,
        in_channels: int = 3,
        dilate: int = 0,
    ) -> None:
        super().__init__()
        self.levels = tuple(Level(*level) for level in levels.values())
        if not levels or any(fine.stride >= coarse.stride for fine, coarse in pairwise(self.levels)):
            raise ValueError(f"levels={dict(levels)}; it needs one or more nodes with strictly rising strides")
        names = list_models(module=torchvision.models)
        if name not in names:
            raise ValueError(f"torchvision has no classification network {name!r}; {did_you_mean(name, names)}")
        check_padding(padding)
        check_in_channels(in_channels)
        self.in_channels = in_channels
        self.nodes = tuple(levels)
        self.stages: tuple[tracing.Stage, ...] = ()  # to be computed again in backward
        auxiliary = AUXILIARY.get(name, {})
        arguments = {**_ARGUMENTS.get(name, {}), **_dilation(name, dilate)}
        model = tracing.without_memory(name, arguments)
        self.body = tracing.cut(model, name, self.nodes, [entry.node for entry in auxiliary.values()])
        made = tracing.outputs(self.body)
        self.auxiliary = {prefix: entry for prefix, entry in auxiliary.items() if entry.node in made}
        self.finest = {f"body.{key}": index for key, index in tracing.needed_by(self.body, self.nodes).items()}
        path, first = tracing.first_convolution(self.body)
        self.first_convolution = f"body.{path}.weight"
        if in_channels != first.in_channels:
            tracing.widen(first, in_channels)
        tracing.initialise(self.body, model, name)
        if padding != "published":
            round_up(self.body)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one map a level, then those of the auxiliary classifiers. Raises ValueError for other channels."""
        check_channels(images, self.in_channels)
        maps = self._recomputed(images) if self.stages else self.body(images)
        return [maps[node] for node in (*self.nodes, *(entry.node for entry in self.auxiliary.values()))]

    def auxiliary_classifiers(self, num_classes: int) -> list[nn.Module]:
        """Return those of GoogLeNet (two) and Inception v3 (one), where the levels reach that far."""
        return [entry.make(entry.channels, num_classes) for entry in self.auxiliary.values()]

    def recompute_stages(self) -> None:
        """Compute again in backward what lies between two levels."""
        self.stages = tracing.stages(self.body, self.nodes)

    def _recomputed(self, images: Tensor) -> dict[str, Tensor]:
        known = {next(iter(self.stages)).takes[0]: images}
        for stage in self.stages:
            made = twice(partial(stage.run, self.body), self.body, *(known[name] for name in stage.takes))
            known |= dict(zip(stage.makes, made, strict=True))
        return {name: known[node.name] for name, node in tracing.outputs(self.body).items()}

    def level_of(self, name: str) -> int:
        """Return the index of the finest level whose map depends on a tensor. Raises ValueError for an unknown one."""
        if name not in self.finest:
            raise ValueError(f"the backbone has no tensor {name!r}; {did_you_mean(name, self.finest)}")
        return self.finest[name]


def _dilation(name: str, stages: int) -> dict[str, Any]:
    """Return the argument by which a ResNet's last `stages` dilate."""
    if not stages:
        return {}
    bottlenecks = [n for n in list_models(module=torchvision.models) if "resne" in n and n not in _BASIC]
    if name not in bottlenecks:
        raise ValueError(f"backbone.dilate={stages}: {name} cannot dilate; {', '.join(sorted(bottlenecks))} can")
    if stages not in (1, 2, 3):
        raise ValueError(f"backbone.dilate={stages}; 0 to 3 stages can dilate")
    return {"replace_stride_with_dilation": [index >= 3 - stages for index in range(3)]}


_BASIC: Final = ("resnet18", "resnet34")  # whose 3x3 pairs torchvision does not dilate


def expected_input(weights: WeightsEnum) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation, in shares of 255, with which published weights want images normalised.

    GoogLeNet and Inception v3 were trained on inputs from -1 to 1. Their preset names ImageNet's figures, which
    torchvision undoes inside the model (`transform_input`): a step that a feature extractor does not have.
    """
    if type(weights).__name__ in _MINUS_ONE_TO_ONE:
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    preset = weights.transforms()
    return tuple(preset.mean), tuple(preset.std)
