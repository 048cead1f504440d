from typing import Any

import pytest
import torch
from torch import nn

from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.blocks import Inception, Plain, Residual
from visionkit.types import Level

STEM = {"channels": 16, "kernel": 3, "stride": 2}


def _stage(block: str = "plain", channels: int = 16, depth: int = 1, stride: int = 1) -> dict[str, Any]:
    return {"block": block, "channels": channels, "depth": depth, "stride": stride}


def test_levels_follow_from_the_stages() -> None:
    stages = [_stage(channels=16), _stage(channels=32, stride=2), _stage(channels=48), _stage(channels=64, stride=2)]
    net = ConvNet(STEM, stages)
    assert net.levels == (Level(16, 2), Level(48, 4), Level(64, 8))  # of the two stages of stride 4 the last
    assert [tuple(m.shape) for m in net(torch.zeros(2, 3, 75, 53))] == [
        (2, 16, 38, 27),
        (2, 48, 19, 14),
        (2, 64, 10, 7),
    ]


def test_stages_of_one_net_may_mix_blocks_and_inputs_any_channels() -> None:
    stages = [_stage("plain"), _stage("residual", stride=2, depth=2), _stage("inception", 32, stride=3)]
    net = ConvNet(STEM, stages, in_channels=4)
    assert [m.shape[-1] for m in net(torch.zeros(2, 4, 32, 32))] == [16, 8, 3]


def test_a_residual_block_of_zero_weights_is_the_identity_of_what_is_positive() -> None:
    block = Residual(4, 4, 1).eval()
    nn.init.zeros_(block.second[0].weight)
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(block(x), x.relu())


def test_a_residual_block_projects_only_where_the_shape_changes() -> None:
    assert isinstance(Residual(4, 4, 1).shortcut, nn.Identity)
    for channels, stride in ((8, 1), (4, 2)):
        block = Residual(4, channels, stride)
        assert block.shortcut[0].kernel_size == (1, 1)
        assert block(torch.zeros(2, 4, 7, 7)).shape == (2, channels, -(-7 // stride), -(-7 // stride))


def test_inception_branches_have_the_shares_of_module_3a() -> None:
    block = Inception(192, 256, 1)
    widths = [[m.out_channels for m in branch.modules() if isinstance(m, nn.Conv2d)] for branch in block.branches]
    assert widths == [[64], [96, 128], [16, 32], [32]]
    assert block(torch.zeros(2, 192, 6, 5)).shape == (2, 256, 6, 5)


def test_a_plain_block_pools_before_it_convolves() -> None:
    assert [type(m) for m in Plain(3, 8, 2)] == [nn.MaxPool2d, nn.Sequential]
    assert Plain(3, 8, 2)(torch.zeros(2, 3, 5, 7)).shape == (2, 8, 3, 4)


def test_initial_features_keep_their_size_through_the_depth() -> None:
    torch.manual_seed(0)
    net = ConvNet(STEM, [_stage(channels=64, depth=6, stride=2)])
    first, *rest = (m for m in net.modules() if isinstance(m, nn.Conv2d))
    for conv in rest:  # He et al.: variance 2 / fan-out
        assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)
    assert first.bias is None


@pytest.mark.parametrize(
    ("stem", "stages", "in_channels", "message"),
    [
        (STEM, [_stage("residul")], 3, r"stages\[0\]\.block='residul' is unknown; did you mean 'residual'"),
        (STEM, [_stage("x1")], 3, "choose one of plain, residual, inception"),
        (STEM, [_stage(channels=0)], 3, r"stages\[0\]\.channels=0; it has to be a whole number of at least 1"),
        (STEM, [_stage(), {"block": "plain", "channels": 8, "depth": 1}], 3, r"stages\[1\] lacks stride"),
        (STEM, [{**_stage(), "chanels": 8}], 3, r"no field 'chanels'; did you mean 'channels'"),
        (STEM, [_stage("inception", 24)], 3, "24 is no multiple of 16"),
        (STEM, [], 3, "at least one stage"),
        ({**STEM, "kernel": 4}, [_stage()], 3, r"stem\.kernel=4 is even"),
        (STEM, [_stage()], 0, "in_channels=0"),
    ],
)
def test_bad_descriptions_say_what_is_allowed(stem: Any, stages: Any, in_channels: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvNet(stem, stages, in_channels)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="images have 1 channels but the backbone was built with in_channels=3"):
        ConvNet(STEM, [_stage()])(torch.zeros(1, 1, 8, 8))
