import copy

import pytest
import torch
import torchvision
from torch import fx, nn
from torchvision.models import get_model

from visionkit.models.backbones.rounding import round_up
from visionkit.models.backbones.torchvision import Torchvision


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("resnet18", {"relu": [64, 2], "layer2": [128, 8], "layer4": [512, 32]}),
        ("vgg11_bn", {"features.6": [128, 2], "features.28": [512, 32]}),
    ],
)
def test_same_weights_give_torchvisions_features(name: str, levels: dict[str, list[int]]) -> None:
    torch.manual_seed(0)
    backbone = Torchvision(name, levels).eval()
    with torch.device("meta"):
        model = get_model(name)
    model.load_state_dict(backbone.body.state_dict(), strict=False, assign=True)
    model.eval()
    seen: list[torch.Tensor] = []
    for node in levels:
        model.get_submodule(node).register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours = backbone(images)
        for part in model.children() if name == "resnet18" else model.features:
            if next(part.parameters(), torch.empty(0)).is_meta or isinstance(part, nn.AdaptiveAvgPool2d):
                break
            images = part(images)
    for mine, theirs in zip(ours, seen, strict=False):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_keys_and_shapes_stay_torchvisions(name: str) -> None:
    levels = {"googlenet": {"inception5b": [1024, 32]}, "inception_v3": {"Mixed_7c": [2048, 32]}}[name]
    with torch.device("meta"):
        ours = Torchvision(name, levels).body.state_dict()
        theirs = get_model(name, init_weights=False).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in theirs.items() if not key.startswith(("fc.", "aux", "AuxLogits."))
    }


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("mobilenet_v3_small", {"features.0": [16, 2], "features.3": [24, 8], "features.12": [576, 32]}),
        ("regnet_y_400mf", {"stem": [32, 2], "trunk_output.block1": [48, 4], "trunk_output.block4": [440, 32]}),
    ],
)
def test_other_networks_need_no_more_than_their_nodes(name: str, levels: dict[str, list[int]]) -> None:
    maps = Torchvision(name, levels)(torch.zeros(2, 3, 75, 53))
    assert [tuple(m.shape) for m in maps] == [(2, c, -(-75 // s), -(-53 // s)) for c, s in levels.values()]


def test_the_classifier_is_gone() -> None:
    backbone = Torchvision("vgg16", {"features.30": [512, 32]})
    assert sum(p.numel() for p in backbone.parameters()) == 14_714_688  # the paper's 138 million less the classifier
    assert not any("classifier" in key for key in backbone.state_dict())


def test_weights_are_drawn_and_statistics_reset() -> None:
    state = Torchvision("resnet18", {"layer1": [64, 4]}).body.state_dict()
    assert state["conv1.weight"].std().item() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.05)
    assert (state["bn1.running_var"] == 1).all()
    assert (state["bn1.running_mean"] == 0).all()
    assert all(value.isfinite().all() for value in state.values())


def test_copies_are_independent_and_keep_training_mode() -> None:
    backbone = Torchvision("resnet18", {"layer1": [64, 4]}).eval()
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        twin.body.conv1.weight.zero_()
        assert twin(torch.randn(1, 3, 16, 16))[0].abs().sum() != backbone(torch.randn(1, 3, 16, 16))[0].abs().sum()
    assert twin.train().body.training
    assert not backbone.body.training


def test_compiles_without_a_break() -> None:
    backbone = Torchvision("resnet18", {"relu": [64, 2], "layer1": [64, 4]}).eval()
    images = torch.randn(1, 3, 33, 20)
    compiled = torch.compile(backbone, backend="eager", fullgraph=True)
    with torch.no_grad():
        for mine, theirs in zip(compiled(images), backbone(images), strict=True):
            torch.testing.assert_close(mine, theirs)


class _Tower(nn.Module):
    """Every kind of layer that `round_up` edits."""

    def __init__(self) -> None:
        super().__init__()
        self.unpadded = nn.Conv2d(1, 1, (1, 5), stride=2)
        self.dilated = nn.Conv2d(1, 1, 3, stride=1, dilation=2)
        self.pool = nn.MaxPool2d(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pool(self.dilated(self.unpadded(x)))
        y = torch.nn.functional.max_pool2d(y, 3, stride=2)
        return torch.nn.functional.avg_pool2d(y, kernel_size=2)


@pytest.mark.parametrize("size", [64, 75, 53, 33])
def test_every_layer_rounds_up(size: int) -> None:
    tower = fx.symbolic_trace(_Tower())
    round_up(tower)
    assert tower(torch.zeros(1, 1, size, 97)).shape == (1, 1, -(-size // 16), -(-97 // 16))


def test_a_layer_that_cannot_round_up_is_named() -> None:
    for layer in (nn.Conv2d(1, 1, 4, 4), nn.MaxPool2d(2, 1), nn.Conv2d(1, 1, 3, padding=2)):
        with pytest.raises(ValueError, match=r"'0' .* cannot be made to round sizes up"):
            round_up(fx.symbolic_trace(nn.Sequential(layer)))


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet18'"):
        Torchvision("resnet19", {"layer1": [64, 4]})
    with pytest.raises(ValueError, match=r"resnet18 has no node 'layr1'; did you mean 'layer1"):
        Torchvision("resnet18", {"layr1": [64, 4]})
    with pytest.raises(ValueError, match="strictly rising strides"):
        Torchvision("resnet18", {"layer2": [128, 8], "layer1": [64, 4]})
    with pytest.raises(ValueError, match="strictly rising strides"):
        Torchvision("resnet18", {})
    with pytest.raises(ValueError, match="'swin_t' take another path in training"):
        Torchvision("swin_t", {"features.1": [96, 4]})
    with pytest.raises(
        ValueError, match=r"'convnext_tiny' cannot be a backbone: its part 'features\.1\.0' has weights"
    ):
        Torchvision("convnext_tiny", {"features.1": [96, 4]})
    with pytest.raises(ValueError, match=r"'features\.0\.0' \(kernel 4, padding 0\) cannot be made to round sizes up"):
        Torchvision("convnext_tiny", {"features.0": [96, 4]})
    assert torchvision.models  # the network's own module, not ours of the same name
