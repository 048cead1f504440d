from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.models.blocks import (
    Bottleneck,
    Inception,
    Plain,
    Residual,
    Separable,
    Style,
    conv_bn,
    init_convolutions,
)

BARE = Style(norm="none")
ROW = torch.tensor([3.0, 1.0, 2.0, 0.0, 4.0])


def _side(pool: nn.Module, cells: int) -> int:
    return pool(torch.zeros(1, 4, cells, cells)).shape[-1]


def _reach(outputs: Tensor, inputs: Tensor) -> tuple[int, int]:
    """Return height and width of what the middle cell of an output depends on."""
    height, width = outputs.shape[-2:]
    (grad,) = torch.autograd.grad(outputs[0, :, height // 2, width // 2].sum(), inputs, retain_graph=True)
    seen = grad[0].abs().sum(0) > 0
    return int(seen.any(1).sum()), int(seen.any(0).sum())


def test_a_pool_of_the_same_padding_sees_around_every_cell_of_its_stride() -> None:
    pooled = Style().pool(1, 2, 2)(ROW.expand(1, 1, 1, 5))
    assert pooled.flatten().tolist() == [3, 2, 4]  # around the cells 0, 2 and 4
    assert [_side(Style().pool(4, window, 2), cells) for window in (2, 3) for cells in (7, 8)] == [4, 4, 4, 4]
    assert [_side(Style().pool(4, 3, 3), cells) for cells in (7, 8, 9)] == [3, 3, 3]


def test_a_published_pool_rounds_as_it_says() -> None:
    style = Style(padding="published")
    assert style.pool(1, 2, 2)(ROW.expand(1, 1, 2, 5)).flatten().tolist() == [3, 2]
    assert [_side(style.pool(4, 2, 2), cells) for cells in (7, 8)] == [3, 4]
    assert [_side(style.pool(4, 2, 2, ceil=True), cells) for cells in (7, 8)] == [4, 4]
    assert [_side(style.pool(4, 3, 2, ceil=True), cells) for cells in (7, 8, 9)] == [3, 4, 4]
    assert [_side(style.pool(4, 3, 2, padding=1), cells) for cells in (7, 8, 9)] == [4, 4, 5]


def test_an_average_pool_counts_the_cells_inside_the_map() -> None:
    pooled = Style(pooling="average").pool(1, 2, 2)(ROW.expand(1, 1, 1, 5))
    assert pooled.flatten().tolist() == [2, 1, 2]  # (3 + 1) / 2, (1 + 2 + 0) / 3, (0 + 4) / 2


@pytest.mark.parametrize("padding", ["same", "published"])
def test_a_convolution_can_do_the_pooling(padding: str) -> None:
    pool = Style(pooling="convolution", padding=padding).pool(4, 2, 2)
    assert (pool[0].kernel_size, pool[0].stride, pool[0].out_channels) == ((3, 3), (2, 2), 4)
    assert [_side(pool, cells) for cells in (7, 8)] == [4, 4]


@pytest.mark.parametrize(
    ("settings", "layers", "bias"),
    [
        ({}, [nn.Conv2d, nn.BatchNorm2d, nn.ReLU], False),
        ({"norm": "group", "activation": "silu"}, [nn.Conv2d, nn.GroupNorm, nn.SiLU], False),
        ({"norm": "none", "activation": "gelu"}, [nn.Conv2d, nn.GELU], True),
        ({"norm": "none", "activation": "tanh"}, [nn.Conv2d, nn.Tanh], True),
        ({"norm": "none", "activation": "leaky_relu"}, [nn.Conv2d, nn.LeakyReLU], True),
    ],
)
def test_a_convolution_has_a_bias_where_no_norm_follows(settings: Any, layers: list[type], bias: bool) -> None:
    unit = Style(**settings, norm_eps=0.01).conv(3, 24, 3)
    assert [type(layer) for layer in unit] == layers
    assert (unit[0].bias is not None) is bias
    assert [type(layer) for layer in Style(**settings).conv(3, 24, 3, activate=False)] == layers[:-1]
    assert all(layer.eps == 0.01 for layer in unit if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm))


def test_conv_bn_is_the_default_style() -> None:
    assert [type(layer) for layer in conv_bn(3, 8, 3)] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(layer) for layer in conv_bn(3, 8, 3, relu=False)] == [nn.Conv2d, nn.BatchNorm2d]
    assert conv_bn(3, 8, 5, 2)(torch.zeros(2, 3, 7, 8)).shape == (2, 8, 4, 4)


@pytest.mark.parametrize(("channels", "groups"), [(64, 4), (16, 1), (24, 3), (6, 3), (2048, 128), (7, 7)])
def test_group_norm_takes_groups_of_sixteen_where_it_can(channels: int, groups: int) -> None:
    assert Style(norm="group").conv(3, channels, 1)[1].num_groups == groups


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "rellu"}, "activation='rellu' is unknown; did you mean 'relu'"),
        ({"norm": "layer"}, "norm='layer' is unknown; choose one of batch, group, none"),
        ({"pooling": "avrage"}, "pooling='avrage' is unknown; did you mean 'average'"),
        ({"padding": "valid"}, "padding='valid' is unknown; choose one of same, published"),
        ({"norm_eps": 0.0}, "norm_eps=0.0; it has to be above 0"),
    ],
)
def test_unknown_styles_say_what_is_allowed(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Style(**settings)


def test_weights_begin_with_the_variance_of_their_fan() -> None:
    torch.manual_seed(0)
    for groups in (1, 8):
        conv = nn.Conv2d(64, 128, 3, groups=groups)
        init_convolutions(conv)  # each input reaches 128 / groups outputs by 9 weights each
        assert conv.weight.std().item() == pytest.approx((2 / (128 * 9 / groups)) ** 0.5, rel=0.05)
        init_convolutions(conv, mode="fan_in")
        assert conv.weight.std().item() == pytest.approx((2 / (64 * 9 / groups)) ** 0.5, rel=0.05)
        assert not conv.bias.any()


def test_a_plain_block_pools_before_it_convolves() -> None:
    assert [type(m) for m in Plain(3, 8, 2)] == [nn.MaxPool2d, nn.Sequential]
    assert Plain(3, 8, 2)(torch.zeros(2, 3, 5, 7)).shape == (2, 8, 3, 4)
    published = Plain(3, 8, 2, Style(padding="published"), kernel=5)
    assert published(torch.zeros(2, 3, 5, 7)).shape == (2, 8, 2, 3)
    assert published[1][0].kernel_size == (5, 5)


def test_a_separable_block_filters_each_channel_and_then_mixes_them() -> None:
    torch.manual_seed(0)
    block = Separable(3, 2, 2, BARE)
    nn.init.ones_(block[0][0].weight)
    nn.init.zeros_(block[0][0].bias)
    features = torch.randn(1, 3, 7, 6)
    sums = F.avg_pool2d(features, 3, 2, 1, divisor_override=1).relu()
    mixed = torch.einsum("oi,bihw->bohw", block[1][0].weight[:, :, 0, 0], sums)
    torch.testing.assert_close(block(features), (mixed + block[1][0].bias[:, None, None]).relu())
    assert [c.weight.numel() for c in (block[0][0], block[1][0])] == [3 * 9, 3 * 2]


@pytest.mark.parametrize(("block", "last"), [(Residual, "second"), (Bottleneck, "third")])
def test_a_block_that_adds_nothing_is_the_identity_of_what_is_positive(block: Any, last: str) -> None:
    made = block(4, 4, 1).eval()
    nn.init.zeros_(getattr(made, last)[0].weight)
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(made(x), x.relu())


@pytest.mark.parametrize("block", [Residual, Bottleneck])
def test_a_residual_block_projects_only_where_the_shape_changes(block: Any) -> None:
    assert isinstance(block(4, 4, 1).shortcut, nn.Identity)
    for channels, stride in ((8, 1), (4, 2)):
        made = block(4, channels, stride)
        assert made.shortcut[0].kernel_size == (1, 1)
        assert len(made.shortcut) == 2  # without an activation
        assert made(torch.zeros(2, 4, 7, 7)).shape == (2, channels, -(-7 // stride), -(-7 // stride))


def test_residual_blocks_have_the_convolutions_of_their_paper() -> None:
    def convolutions(block: nn.Module) -> list[tuple[int, int, int]]:
        found = [c for name, c in block.named_modules() if isinstance(c, nn.Conv2d) and "shortcut" not in name]
        return [(c.kernel_size[0], c.out_channels, c.stride[0]) for c in found]

    assert convolutions(Residual(64, 128, 2)) == [(3, 128, 2), (3, 128, 1)]
    assert convolutions(Bottleneck(256, 512, 2)) == [(1, 128, 1), (3, 128, 2), (1, 512, 1)]
    x = torch.randn(1, 64, 17, 17, requires_grad=True)
    assert _reach(Residual(64, 64, 1, BARE)(x), x) == (5, 5)
    assert _reach(Bottleneck(64, 64, 1, BARE)(x), x) == (3, 3)


def test_a_residual_block_adds_before_it_activates() -> None:
    torch.manual_seed(0)
    for block in (Residual(4, 4, 1, BARE), Bottleneck(4, 4, 1, Style(norm="none", activation="tanh"))):
        x = torch.randn(2, 4, 5, 5)
        parts = [part for name, part in block.named_children() if name in ("first", "second", "third")]
        torch.testing.assert_close(block(x), block.act(nn.Sequential(*parts)(x) + x))


@pytest.mark.parametrize("block", [Residual, Bottleneck])
def test_training_leaves_the_convolutions_of_some_images_out(block: Any) -> None:
    torch.manual_seed(0)
    made = block(4, 4, 1, BARE, drop=0.25)
    x = torch.rand(400, 4, 3, 3)
    made.eval()
    with torch.no_grad():
        whole = made.act(made.shortcut(x) + (residual := _residual(made, x)))
        assert torch.equal(made(x), whole)
        out = made.train()(x)
    left_out = (out == x).flatten(1).all(1)
    assert 60 < left_out.sum() < 140
    torch.testing.assert_close(out[~left_out], (x + residual / 0.75).relu()[~left_out])


def _residual(block: nn.Module, x: Tensor) -> Tensor:
    for name in ("first", "second", "third"):
        x = getattr(block, name, nn.Identity())(x)
    return x


def test_inception_branches_have_the_shares_of_module_3a() -> None:
    block = Inception(192, 256, 1)
    widths = [[m.out_channels for m in branch.modules() if isinstance(m, nn.Conv2d)] for branch in block.branches]
    assert widths == [[64], [96, 128], [16, 32], [32]]
    assert block(torch.zeros(2, 192, 6, 5)).shape == (2, 256, 6, 5)


@pytest.mark.parametrize(("kernel", "wide"), [(5, 5), (3, 3), (7, 7)])
def test_inception_branches_lie_side_by_side_and_see_as_far_as_they_say(kernel: int, wide: int) -> None:
    torch.manual_seed(0)
    style = Style(norm="none", activation="leaky_relu")
    block = Inception(2, 16, 1, style, kernel=kernel, branches=[[1], [4, 2], [4, 5], [8]])
    x = torch.randn(1, 2, 11, 11, requires_grad=True)
    parts = block(x).split([1, 2, 5, 8], dim=1)
    assert [_reach(part, x) for part in parts[:3]] == [(1, 1), (3, 3), (wide, wide)]
    conv = block.branches[3][1][0]
    pooled = F.max_pool2d(x, 3, 1, 1)
    expected = torch.einsum("oi,bihw->bohw", conv.weight[:, :, 0, 0], pooled)
    torch.testing.assert_close(parts[3], F.leaky_relu(expected + conv.bias[:, None, None], 0.1))


def test_an_inception_block_of_a_stride_pools_first() -> None:
    x = torch.zeros(2, 4, 7, 8)
    assert Inception(4, 16, 2)(x).shape == (2, 16, 4, 4)
    assert Inception(4, 16, 2, Style(padding="published"))(x).shape == (2, 16, 3, 4)  # 3x3, rounded up


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Inception(8, 24, 1), "channels=24 is no multiple of 16"),
        (lambda: Inception(8, 24, 1, branches=[[1], [2, 3], [4, 5], [6]]), "have 15 channels together, not 24"),
        (lambda: Bottleneck(8, 10, 1), "channels=10 is no multiple of 4"),
    ],
)
def test_channels_that_cannot_be_split_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("block", "last"), [(Residual, "second"), (Bottleneck, "third")])
def test_damping_scales_the_last_convolution_alone(block: Any, last: str) -> None:
    made = block(4, 8, 2)
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    made.damp(0.5)
    for name, parameter in made.named_parameters():
        assert torch.equal(parameter, before[name] * (0.5 if name == f"{last}.0.weight" else 1))
