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
        self.patches = nn.Conv2d(1, 2, (4, 2), (4, 2))
        self.unpadded = nn.Conv2d(2, 1, (1, 5), stride=2)
        self.dilated = nn.Conv2d(1, 1, 3, stride=1, dilation=2)
        self.pools = nn.Sequential(nn.MaxPool2d(2, 2), nn.AvgPool2d(2, 2, ceil_mode=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pools(self.dilated(self.unpadded(self.patches(x))))
        y = torch.nn.functional.max_pool2d(y, 3, stride=2)
        return torch.nn.functional.avg_pool2d(y, kernel_size=2)


@pytest.mark.parametrize("size", [256, 275, 153, 133])
def test_every_layer_rounds_up_and_keeps_its_tensors(size: int) -> None:
    plain = _Tower()
    tower = fx.symbolic_trace(copy.deepcopy(plain))
    round_up(tower)
    assert tower(torch.zeros(1, 1, size, 97)).shape == (1, 1, -(-size // 128), -(-97 // 64))
    assert {k: v.shape for k, v in tower.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    sizes = {axis: torch.export.Dim(name, min=129, max=640) for axis, name in ((2, "height"), (3, "width"))}
    exported = torch.export.export(tower, (torch.zeros(1, 1, 200, 150),), dynamic_shapes=(sizes,)).module()
    images = torch.randn(1, 1, size, 131)
    torch.testing.assert_close(exported(images), tower(images))


@pytest.mark.parametrize(
    ("layer", "padded"),
    [
        (nn.MaxPool2d(2, 2), nn.MaxPool2d(2, 2, ceil_mode=True)),
        (nn.AvgPool2d(2, 2), nn.AvgPool2d(2, 2, ceil_mode=True)),
        (nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 2, padding=1)),
    ],
)
def test_pools_see_the_border_as_if_nothing_lay_beyond_it(layer: nn.Module, padded: nn.Module) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(layer)
    round_up(network)
    images = torch.randn(2, 3, 7, 10) - 5
    torch.testing.assert_close(network(images), padded(images))


def test_patches_stay_in_place_and_see_zeros_beyond_the_border() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 5, 4, 4))
    network = copy.deepcopy(plain)
    round_up(network)
    images = torch.randn(2, 3, 9, 12)
    torch.testing.assert_close(network(images)[:, :, :2], plain(images))
    torch.testing.assert_close(network(images)[:, :, 2:], plain(nn.functional.pad(images[:, :, 8:], (0, 0, 0, 3))))


def test_a_layer_that_cannot_round_up_is_named() -> None:
    for layer in (nn.Conv2d(1, 1, 4, 2), nn.MaxPool2d(2, 1), nn.Conv2d(1, 1, 3, padding=2)):
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
    with pytest.raises(ValueError, match=r"backbone.padding=valid; choose same"):
        Torchvision("resnet18", {"layer1": [64, 4]}, padding="valid")
    with pytest.raises(ValueError, match=r"backbone.in_channels=0"):
        Torchvision("resnet18", {"layer1": [64, 4]}, in_channels=0)
    with pytest.raises(ValueError, match=r"resnet18 cannot dilate; resnet101, resnet152, resnet50"):
        Torchvision("resnet18", {"layer1": [64, 4]}, dilate=2)
    with pytest.raises(ValueError, match=r"dilate=4; 0 to 3"):
        Torchvision("resnet50", {"layer1": [256, 4]}, dilate=4)
    with pytest.raises(ValueError, match=r"has no tensor 'body\.cnv1\.weight'; did you mean 'body\.conv1\.weight'"):
        Torchvision("resnet18", {"layer1": [64, 4]}).level_of("body.cnv1.weight")
    assert torchvision.models  # the network's own module, not ours of the same name


def test_an_open_padding_rounds_up() -> None:
    with torch.device("meta"):
        backbone = Torchvision("vgg11", {"features.20": [512, 32]})
    assert backbone(torch.empty(1, 3, 75, 53, device="meta"))[0].shape == (1, 512, 3, 2)
