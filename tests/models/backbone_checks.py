"""Hold a backbone of the config to its promises; one function a promise, for tests and benchmarks alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn
from torchvision.models import get_model

from visionkit.models.backbones.torchvision import Torchvision
from visionkit.models.contracts import Backbone
from visionkit.models.network import Network

CONF = Path(__file__).parents[2] / "conf"
BACKBONES = sorted(path.stem for path in (CONF / "backbone").glob("*.yaml"))
HEADS = sorted({path.stem for path in (CONF / "head").glob("[!_]*.yaml")} - {"none"})
NECKS = {"fcos": "fpn"}

FAMILIES = {
    "VGG": ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"],
    "ResNet": [
        "resnet18", "resnet34", "resnet50", "resnet50_dilated", "resnet101", "resnet152",
        "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2",
    ],
    "GoogLeNet": ["googlenet"],
    "Inception v3": ["inception_v3"],
    "MobileNet v3": ["mobilenet_v3_small", "mobilenet_v3_large"],
    "EfficientNet": [*(f"efficientnet_b{size}" for size in range(5)), "efficientnet_v2_s"],
    "ConvNeXt": ["convnext_tiny", "convnext_small", "convnext_base", "convnext_large"],
    "DenseNet": ["densenet121", "densenet161", "densenet169", "densenet201"],
    "timm": ["timm"],
    "ConvNet": [
        "resnet_tiny", "vgg_tiny", "inception_tiny", "lenet", "convnet",
        "convnet_googlenet", "convnet_resnet18", "convnet_resnet50", "convnet_vgg16",
    ],
}  # fmt: skip
"""Every option of the group, the smallest member of each family first."""

SMALLEST = [members[0] for members in FAMILIES.values()]

_NOT_FEATURES = ("fc", "classifier", "aux1", "aux2", "AuxLogits")  # the rest of torchvision's networks


def name_of(option: str) -> str | None:
    """Return torchvision's name of an option's network, or None for another's."""
    node = OmegaConf.load(CONF / "backbone" / f"{option}.yaml")
    return str(node.name) if node.get("_target_", "").endswith(".Torchvision") else None


def published(option: str, **arguments: Any) -> nn.Module:
    """Return torchvision's own network of an option, without memory for its weights."""
    name = str(name_of(option))
    more = {"init_weights": False, "transform_input": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        return get_model(name, **more, **arguments)


def geometry(body: Backbone) -> None:
    """Level i of a backbone on the meta device has its channels and ceil(size / stride) cells."""
    for height, width in ((64, 64), (75, 53), (224, 320)):
        maps = body(torch.empty(2, 3, height, width, device="meta"))[: len(body.levels)]
        assert [tuple(m.shape) for m in maps] == [
            (2, level.channels, -(-height // level.stride), -(-width // level.stride)) for level in body.levels
        ], (height, width)


def stride(body: Backbone) -> None:
    """Level i of a backbone on the meta device has its channels; n pixels more make n / stride cells more."""
    total = 4 * body.levels[-1].stride
    small, large = (body(torch.empty(1, 3, 256, 256 + more, device="meta")) for more in (0, total))
    for level, before, after in zip(body.levels, small, large, strict=False):
        assert before.shape[1] == level.channels
        assert after.shape[3] - before.shape[3] == total // level.stride


def tensors(option: str, body: Torchvision) -> None:
    """The tensors are torchvision's by name and shape, its classifiers' apart."""
    theirs = {k: v for k, v in published(option).state_dict().items() if k.split(".")[0] not in _NOT_FEATURES}
    ours = body.body.state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}
    of_layers = [v for k, v in theirs.items() if not k.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert sum(p.numel() for p in body.parameters()) == sum(value.numel() for value in of_layers)


def levels_of(body: Backbone) -> None:
    """Each tensor has a level, from the finest to the coarsest that is no mere pool of the one before."""
    found = {body.level_of(name) for name in body.state_dict()}
    assert found <= set(range(len(body.levels)))
    assert min(found) == 0
    assert max(found) >= len(body.levels) - 2


def levels_are_those_of_gradients(body: Backbone) -> None:
    """The maps that a parameter reaches are those from its level on (on the meta device)."""
    parameters = dict(body.named_parameters())
    maps = body(torch.empty(2, 3, 128, 128, device="meta"))
    for index in range(len(body.levels)):
        reached = torch.autograd.grad(
            maps[index].sum(), list(parameters.values()), allow_unused=True, retain_graph=True
        )
        for name, gradient in zip(parameters, reached, strict=True):
            assert (gradient is not None) == (body.level_of(name) <= index), (name, index)
    for name, _ in body.named_buffers():
        owner = name.rpartition(".")[0]
        beside = {body.level_of(other) for other in parameters if other.rpartition(".")[0] == owner}
        assert beside <= {body.level_of(name)}, name


def every_head(option: str, build: Callable[..., Network], heads: list[str] | None = None) -> Network:
    """Return a network of one backbone, rounding sizes up, and heads of every kind, drawn at random."""
    body = build(option, "fcn").backbone
    tops, necks, routes = {}, {}, {}
    for head in heads or HEADS:
        one = build(body, head, NECKS.get(head, "none"))
        tops[head], routes[head] = one.heads["only"], None
        if one.necks:
            necks[head], routes[head] = one.necks["neck"], head
    return Network(body, necks, tops, routes, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def trains(network: Network, images: torch.Tensor, targets: Any) -> None:
    """Outputs and losses of every head are finite, and a finite gradient reaches every parameter."""
    outputs = network.train()(images, targets)
    total = torch.zeros(())
    for name, head in network.heads.items():
        assert all(tensor.isfinite().all() for tensor in outputs[name]), name
        terms = head.loss(outputs[name], targets)
        assert all(term.isfinite() for term in terms.values()), name
        total = total + sum(terms.values())
    total.backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def exports(network: Network) -> None:
    """The exported network says what the network says, for batches and sizes that it has not seen."""
    network.eval()
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    sizes = {0: torch.export.Dim("batch", max=64)} | {
        axis: torch.export.Dim(name, min=33, max=640) for axis, name in ((2, "height"), (3, "width"))
    }
    exported = torch.export.export(network, (images,), dynamic_shapes=(sizes,)).module()
    for other in (images, torch.randint(0, 256, (3, 3, 75, 53), dtype=torch.uint8)):
        with torch.no_grad():
            ours, theirs = network(other), exported(other)
        for head in ours:
            for mine, its in zip(ours[head], theirs[head], strict=True):
                scale = mine.float().abs().max().item() if mine.numel() else 0
                torch.testing.assert_close(its, mine, rtol=1e-4, atol=1e-4 * max(scale, 1e-6))


class _Reached(Exception):  # noqa: N818  (no error: the end of the features)
    pass


def published_map(option: str, body: Torchvision, images: torch.Tensor) -> torch.Tensor:
    """Return what torchvision's own network averages and classifies, given the weights of `body`."""
    model = published(option, **({"aux_logits": False} if option in ("googlenet", "inception_v3") else {})).eval()
    model.load_state_dict(body.body.state_dict(), strict=False, assign=True)
    found: list[torch.Tensor] = []

    def stop(_module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        found.append(inputs[0])
        raise _Reached

    pool = getattr(model, "avgpool", None)
    (model.classifier if pool is None else pool).register_forward_pre_hook(stop)  # DenseNet's pool is no module
    with torch.no_grad():
        try:
            model(images)
        except _Reached:
            return found[0]
    raise AssertionError(f"{option} never came to its classifier")


def randomise(body: nn.Module) -> None:
    """Draw statistics and scales as a trained network might have them."""
    for name, tensor in [*body.named_parameters(), *body.named_buffers()]:
        if name.endswith("running_mean"):
            tensor.data.normal_(std=0.1)
        elif name.endswith("running_var"):
            tensor.data.uniform_(0.5, 1.5)
        elif name.endswith("layer_scale"):
            tensor.data.uniform_(0.1, 0.5)
