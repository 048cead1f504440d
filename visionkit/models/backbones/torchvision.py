"""Wrap a torchvision classification network as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import torch
import torchvision
from torch import Tensor, fx
from torch.overrides import TorchFunctionMode
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from visionkit.models.backbones.rounding import round_up
from visionkit.models.blocks import init_convolutions
from visionkit.models.contracts import Backbone
from visionkit.suggest import did_you_mean
from visionkit.types import Level

# Without auxiliary classifiers, which no head reads, and without a rescaling of the input: `expected_input` has it.
_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    name: {"aux_logits": False, "transform_input": False, "init_weights": False}
    for name in ("googlenet", "inception_v3")
}

_MINUS_ONE_TO_ONE: Final = ("GoogLeNet_Weights", "Inception_V3_Weights")

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels a channel, in shares of 255."""


class Torchvision(Backbone):
    """The part of a torchvision network that makes the named maps, initialised at random.

    `name` is one of `torchvision.models.list_models(module=torchvision.models)`; `levels` maps node names (as
    `torchvision.models.feature_extraction.get_graph_node_names` lists them) to [channels, stride], fine to coarse.
    Names and shapes in `body.state_dict()` are torchvision's; layers round sizes up (`rounding.py`). Everything
    that no level needs, such as VGG's 120 million classifier weights, is dropped before memory is taken for it.

    Raises ValueError for an unknown network or node, and for one that cannot be cut out.
    """

    def __init__(self, name: str, levels: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.levels = tuple(Level(*level) for level in levels.values())
        if not levels or any(fine.stride >= coarse.stride for fine, coarse in pairwise(self.levels)):
            raise ValueError(f"levels={dict(levels)}; it needs one or more nodes with strictly rising strides")
        names = list_models(module=torchvision.models)
        if name not in names:
            raise ValueError(f"torchvision has no classification network {name!r}; {did_you_mean(name, names)}")
        self.nodes = tuple(levels)
        self.body = _traced(name, self.nodes)
        _initialise(self.body, name)
        round_up(self.body)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one map a level."""
        maps = self.body(images)
        return [maps[node] for node in self.nodes]


class _WeightsOnMeta(TorchFunctionMode):
    """Lets layers take no memory: what they get from `torch.empty` lies on the meta device.

    Not `torch.device("meta")`, as RegNet works its widths out with tensors.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        settings = {**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}
        return func(*args, **settings)


def _traced(name: str, nodes: tuple[str, ...]) -> fx.GraphModule:
    """Return the graph up to `nodes`, its weights on the meta device: those of the rest never take memory."""
    with torch.device("cpu"), _WeightsOnMeta():
        model = get_model(name, weights=None, **_ARGUMENTS.get(name, {}))
        paths = [path.split(".") for path in get_graph_node_names(model, suppress_diff_warning=True)[0]]
        # A module's name stands for the last node inside it. A dict, as it keeps the order in which the network runs.
        known = dict.fromkeys(".".join(path[:depth]) for path in paths for depth in range(1, len(path) + 1))
        for node in nodes:
            if node not in known:
                raise ValueError(f"{name} has no node {node!r}; {did_you_mean(node, known)}")
        both = create_feature_extractor(model, return_nodes=list(nodes), suppress_diff_warning=True)
    if str(both.train_graph) != str(both.eval_graph):
        raise ValueError(f"the features of {name!r} take another path in training; they cannot be one graph")
    # A plain GraphModule: torchvision's own, with its two graphs, loses them in deepcopy.
    return fx.GraphModule(both, both.train_graph)


def _initialise(body: fx.GraphModule, name: str) -> None:
    """Take memory on the current default device and draw new weights."""
    body.to_empty(device=torch.get_default_device())
    for path, module in body.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset()
        elif any(True for _ in module.parameters(recurse=False)) or any(True for _ in module.buffers(recurse=False)):
            raise ValueError(f"{name!r} cannot be a backbone: its part {path!r} has weights with no initialiser")
    init_convolutions(body)


def published_weights(name: str) -> WeightsEnum | None:
    """Return torchvision's default ImageNet weights of a network, or None where it publishes none. Opens nothing."""
    known = name in list_models(module=torchvision.models)
    return getattr(get_model_weights(name), "DEFAULT", None) if known else None


def expected_input(weights: WeightsEnum) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation, in shares of 255, with which published weights want images normalised.

    GoogLeNet and Inception v3 were trained on inputs from -1 to 1. Their preset names ImageNet's figures, which
    torchvision undoes inside the model (`transform_input`): a step that a feature extractor does not have.
    """
    if type(weights).__name__ in _MINUS_ONE_TO_ONE:
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    preset = weights.transforms()
    return tuple(preset.mean), tuple(preset.std)
