"""Cut the wanted part out of a torchvision network: its graph, its weights, and which of them each map needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from visionkit.models.blocks import init_convolutions
from visionkit.suggest import did_you_mean


class _WeightsOnMeta(TorchFunctionMode):
    """Lets layers take no memory: what they get from `torch.empty` lies on the meta device.

    Not `torch.device("meta")`, as RegNet works its widths out with tensors, and as what is not drawn at random (the
    scales of ConvNeXt's layers) keeps its values.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        settings = {**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}
        return func(*args, **settings)


def without_memory(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Return a torchvision network whose weights lie on the meta device."""
    with torch.device("cpu"), _WeightsOnMeta():
        model: nn.Module = get_model(name, weights=None, **arguments)
    return model


def cut(model: nn.Module, name: str, nodes: Sequence[str], extra: Sequence[str]) -> fx.GraphModule:
    """Return the graph of a network up to `nodes`, without the parts that they do not need.

    Its outputs are a dict by node name; of `extra` nodes it has those that the network comes by on its way. Raises
    ValueError for a node that is not there, and for a network that cannot be one graph.
    """
    paths = [path.split(".") for path in get_graph_node_names(model, suppress_diff_warning=True)[0]]
    # A module's name stands for the last node inside it. A dict, as it keeps the order in which the network runs.
    ends = {".".join(path[:depth]): step for step, path in enumerate(paths) for depth in range(1, len(path) + 1)}
    for node in nodes:
        if node not in ends:
            raise ValueError(f"{name} has no node {node!r}; {did_you_mean(node, ends)}")
    passed = [node for node in extra if ends[node] <= ends[nodes[-1]]]
    wanted = list(dict.fromkeys([*nodes, *passed]))
    both = create_feature_extractor(model, return_nodes=wanted, suppress_diff_warning=True)
    if str(both.train_graph) != str(both.eval_graph):
        raise ValueError(f"the features of {name!r} take another path in training; they cannot be one graph")
    # A plain GraphModule: torchvision's own, with its two graphs, loses them in deepcopy.
    return fx.GraphModule(both, both.train_graph)


def outputs(body: fx.GraphModule) -> dict[str, fx.Node]:
    """Return the nodes that a traced network puts out, by name."""
    found: dict[str, fx.Node] = body.graph.output_node().args[0]  # type: ignore[assignment]
    return found


def first_convolution(body: nn.Module) -> tuple[str, nn.Conv2d]:
    """Return the convolution that sees the image, and its name: layers stand in the order in which they run."""
    return next((path, layer) for path, layer in body.named_modules() if isinstance(layer, nn.Conv2d))


def widen(layer: nn.Conv2d, in_channels: int) -> None:
    """Let a first convolution that has no memory yet take images of `in_channels`."""
    layer.in_channels = in_channels
    layer.weight = nn.Parameter(layer.weight.new_empty(layer.out_channels, in_channels, *layer.kernel_size))


def initialise(body: fx.GraphModule, model: nn.Module, name: str) -> None:
    """Take memory for what was cut out of `model`, on the current default device, and draw new weights.

    Convolutions are drawn by `init_convolutions`, DenseNet's by fan-in as its authors did, since concatenated maps
    make many inputs of few outputs. The rest is as each layer draws it; values that are there already are kept. Raises
    ValueError for weights that no layer draws.
    """
    device = torch.get_default_device()
    for path, module in body.named_modules():
        own = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
        if not any(tensor.is_meta for tensor in own.values()):
            module._apply(lambda tensor: tensor.to(device), recurse=False)
            continue
        # Layers that tracing went into, such as torchvision's LayerNorm2d, lost their class but not their place.
        layer = model.get_submodule(path)
        if not hasattr(layer, "reset_parameters"):
            raise ValueError(f"{name!r} cannot be a backbone: its part {path!r} has weights with no initialiser")
        layer.to_empty(device=device, recurse=False).reset_parameters()  # type: ignore[operator]
        for key in own:
            setattr(module, key, getattr(layer, key))
    init_convolutions(body, "fan_in" if name.startswith("densenet") else "fan_out")


def needed_by(body: fx.GraphModule, nodes: Sequence[str]) -> dict[str, int]:
    """Return for each name in the state dict the index of the first of `nodes` whose map depends on it."""
    ends, names = outputs(body), list(body.state_dict())
    found: dict[str, int] = {}
    for index, node in enumerate(nodes):
        todo, seen = [ends[node]], set[fx.Node]()
        while todo:
            step = todo.pop()
            if step not in seen:
                seen.add(step)
                todo += step.all_input_nodes
        targets = {str(step.target) for step in seen if step.op in ("call_module", "get_attr")}
        for name in names:
            parts = name.split(".")
            if any(".".join(parts[:depth]) in targets for depth in range(1, len(parts) + 1)):
                found.setdefault(name, index)
    return found


class Stage(NamedTuple):
    """A part of a traced network, between two levels."""

    run: Callable[..., tuple[torch.Tensor, ...]]
    """Takes the traced network, whose layers it calls, and the values of `takes`; returns those of `makes`."""
    takes: tuple[str, ...]
    makes: tuple[str, ...]


def stages(body: fx.GraphModule, nodes: Sequence[str]) -> tuple[Stage, ...]:
    """Return the parts of a traced network that end with each of `nodes`, and one behind the last if there is any."""
    steps = [node for node in body.graph.nodes if node.op != "output"]
    ends = sorted(steps.index(outputs(body)[name]) + 1 for name in nodes)
    found = []
    for first, last in pairwise(dict.fromkeys([0, *ends, len(steps)])):
        part, rest = steps[first:last], {*steps[last:], body.graph.output_node()}
        inside = [node for node in part if node.op != "placeholder"]
        takes = [n for n in steps if n not in inside and any(n in user.all_input_nodes for user in inside)]
        makes = [n for n in inside if rest & set(n.users)]
        graph = fx.Graph()
        copied = {node: graph.placeholder(node.name) for node in takes}
        for node in inside:
            copied[node] = graph.node_copy(node, copied.__getitem__)
        graph.output(tuple(copied[node] for node in makes))
        # Only the code of it: called with the whole network as `self`, it finds the layers where they are.
        run = type(fx.GraphModule(body, graph)).forward
        found.append(Stage(run, tuple(n.name for n in takes), tuple(n.name for n in makes)))
    return tuple(found)
