from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from visionkit.engine import build as engine_build
from visionkit.losses.cross_entropy import CrossEntropy
from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.backbones.torchvision_names import converted, head_names, torchvision_names
from visionkit.models.contracts import Head
from visionkit.models.heads.fcn import FCNHead
from visionkit.models.heads.linear import LinearHead
from visionkit.models.heads.vgg import VGGHead

PARAMETERS = {"vgg16": 138_357_544, "resnet18": 11_689_512, "resnet50": 25_557_032, "googlenet": 6_624_904}
STEM = [{"channels": 64, "kernel": 7, "stride": 2}, {"pool": 3, "stride": 2, "padding": 1}]


@pytest.fixture
def ours(node: Callable[[str, str], Any]) -> Callable[..., tuple[ConvNet, Head]]:
    """Return a function that makes our network of a name, on the meta device, with a classifier of 1000 classes."""

    def make(name: str, padding: str = "published", size: int = 224) -> tuple[ConvNet, Head]:
        with torch.device("meta"):
            net = engine_build.build({**node("backbone", f"convnet_{name}"), "padding": padding})
            levels: dict[str, Any] = {"levels": net.levels, "num_classes": 1000}
            if name.startswith("vgg"):
                return net, VGGHead([4096, 4096], 0.5, size, CrossEntropy(), **levels)
            return net, LinearHead(0.0, 0.3, CrossEntropy(), **levels)

    return make


def _theirs(name: str) -> nn.Module:
    """Return torchvision's network with random weights and statistics, in which outputs depend on the image."""
    torch.manual_seed(0)
    arguments = {"aux_logits": False, "transform_input": False, "init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, **arguments)
    model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan = module.weight[0].numel()
            module.weight.data.uniform_(-1, 1).mul_((6 / fan) ** 0.5)  # He's, quickly drawn
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.num_batches_tracked.fill_(7)
        if getattr(module, "bias", None) is not None:
            module.bias.data.normal_(0, 0.1)
    return model.eval()


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_parameters_count_as_published(name: str, ours: Any) -> None:
    assert sum(p.numel() for part in ours(name) for p in part.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", [*PARAMETERS])
def test_torchvisions_tensors_give_torchvisions_logits(name: str, ours: Any) -> None:
    model = _theirs(name)
    tensors = model.state_dict()
    net, head = ours(name)
    for part, names in ((net, torchvision_names(net)), (head, head_names(head))):
        part.load_state_dict(converted(part.state_dict(), names, tensors), assign=True)
        part.eval()
    assert {*torchvision_names(net).values(), *head_names(head).values()} == set(tensors)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        logits, published = head(net(images), (224, 224)).logits, model(images)
    assert (published[0] - published[1]).abs().mean() > 0.01  # they depend on the image
    scale = published.std()
    torch.testing.assert_close(logits / scale, published / scale, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg19", "resnet34", "resnet101"])
def test_other_depths_of_the_same_kinds_have_names_too(name: str) -> None:
    depths = {"11": (1, 1, 2, 2, 2), "13": (2,) * 5, "19": (2, 2, 4, 4, 4), "34": (3, 4, 6, 3), "101": (3, 4, 23, 3)}
    depth = depths[name.removeprefix("vgg").removeprefix("resnet")]
    with torch.device("meta"):
        tensors = torchvision.models.get_model(name, weights=None).state_dict()
        if name.startswith("vgg"):
            stages: list[dict[str, Any]] = [
                {"block": "plain", "channels": min(64 * 2**i, 512), "depth": d, "stride": 1 + (i > 0)}
                for i, d in enumerate(depth)
            ]
            net = ConvNet([], [*stages, {"pool": 2, "stride": 2}], norm="none")
        else:
            block, width = ("residual", 64) if name == "resnet34" else ("bottleneck", 256)
            stages = [
                {"block": block, "channels": width * 2**i, "depth": d, "stride": 1 + (i > 0)}
                for i, d in enumerate(depth)
            ]
            net = ConvNet(STEM, stages, dropout=0.1)
    names = torchvision_names(net)
    assert set(converted(net.state_dict(), names, tensors)) == set(net.state_dict())
    assert set(names.values()) == {key for key in tensors if not key.startswith(("classifier", "fc"))}


def test_a_file_that_lacks_tensors_or_has_others_is_refused_by_name(ours: Any) -> None:
    net, head = ours("resnet18")
    names = torchvision_names(net)
    with torch.device("meta"):
        tensors = torchvision.models.resnet18().state_dict()
        other = torchvision.models.resnet50().state_dict()
    old = {name: tensor for name, tensor in tensors.items() if "num_batches_tracked" not in name}
    assert converted(net.state_dict(), names, old)["stem.0.1.num_batches_tracked"].shape == ()
    del old["layer1.0.conv1.weight"]
    with pytest.raises(ValueError, match=r"fit: layer1\.0\.conv1\.weight \(for stages\.0\.0\.first\.0"):
        converted(net.state_dict(), names, old)
    with pytest.raises(
        ValueError,
        match=r"layer1\.0\.conv1\.weight is \[64, 64, 1, 1\] where stages\.0\.0\.first\.0\.weight is "
        r"\[64, 64, 3, 3\]; .*; and \d+ more",
    ):
        converted(net.state_dict(), names, other)
    with pytest.raises(ValueError, match=r"fc\.weight is \[1000, 2048\] where classifier\.weight is \[1000, 512\]"):
        converted(head.state_dict(), head_names(head), other)


@pytest.mark.parametrize(
    ("stem", "block", "settings"),
    [
        (STEM[:1], "residual", {}),
        (STEM, "residual", {"norm": "group"}),
        (STEM, "residual", {"pooling": "convolution"}),
        (STEM, "separable", {}),
        ([], "plain", {"norm": "batch"}),
        (STEM, "plain", {"norm": "none"}),
        (STEM, "inception", {}),
    ],
)
def test_networks_that_torchvision_has_not_are_refused(stem: Any, block: str, settings: Any) -> None:
    stages = [{"block": block, "channels": 64, "depth": 1, "stride": 1}] * 4
    with torch.device("meta"), pytest.raises(ValueError, match="torchvision has no network like this one"):
        torchvision_names(ConvNet(stem, stages, **settings))
    with torch.device("meta"), pytest.raises(ValueError, match="torchvision has no network like this one"):
        torchvision_names(ConvNet(STEM, [*stages[:2], {**stages[0], "block": "plain"}, stages[3]]))


def test_heads_without_a_counterpart_are_refused(ours: Any) -> None:
    net, _ = ours("resnet18")
    head = FCNHead(4, CrossEntropy(), levels=net.levels, num_classes=3)
    with pytest.raises(ValueError, match="FCNHead has no counterpart"):
        head_names(head)
