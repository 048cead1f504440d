from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.blocks import Bottleneck, Residual
from visionkit.types import Level

STEM = [{"channels": 16, "kernel": 3, "stride": 2}]
PRESETS = [
    *("convnet", "lenet", "vgg_tiny", "resnet_tiny", "inception_tiny"),
    *("convnet_vgg16", "convnet_resnet18", "convnet_resnet50", "convnet_googlenet"),
]
BRANCHES = [[[4], [3, 8], [2, 4], [4]], [[8], [3, 8], [2, 8], [8]]]


def _stage(block: str = "plain", channels: int = 16, depth: int = 1, stride: int = 1, **more: Any) -> dict[str, Any]:
    return {"block": block, "channels": channels, "depth": depth, "stride": stride, **more}


def _all_blocks(**settings: Any) -> ConvNet:
    stages = [
        _stage("plain", stride=2),
        _stage("residual", depth=2),
        {"pool": 2, "stride": 2},
        _stage("bottleneck", 32, depth=2, stride=2),
        _stage("separable", 24, depth=2, stride=2, kernel=5),
        {"block": "inception", "stride": 2, "branches": BRANCHES},
    ]
    return ConvNet([*STEM, {"pool": 3, "stride": 2}], stages, **settings)


def test_levels_follow_from_the_stages() -> None:
    stages = [_stage(channels=16), _stage(channels=32, stride=2), _stage(channels=48), _stage(channels=64, stride=2)]
    net = ConvNet(STEM, stages)
    assert net.levels == (Level(16, 2), Level(48, 4), Level(64, 8))  # of the two stages of stride 4 the last
    assert [tuple(m.shape) for m in net(torch.zeros(2, 3, 75, 53))] == [
        (2, 16, 38, 27),
        (2, 48, 19, 14),
        (2, 64, 10, 7),
    ]


def test_layers_of_the_stem_and_pools_are_levels_too() -> None:
    stem = [{"channels": 8, "kernel": 7, "stride": 2}, {"pool": 3, "stride": 2}]
    net = ConvNet(stem, [_stage(stride=2), {"pool": 2, "stride": 2}])
    assert net.levels == (Level(8, 2), Level(8, 4), Level(16, 8), Level(16, 16))
    first, *_, last = net(images := torch.randn(1, 3, 32, 48))
    assert torch.equal(first, net.stem[0](images))
    assert last.shape == (1, 16, 2, 3)


def test_full_resolution_is_a_level_only_if_there_is_no_other() -> None:
    assert ConvNet([], [_stage(), _stage(channels=24, stride=2)]).levels == (Level(24, 2),)
    assert ConvNet([], [_stage(), _stage(channels=24)]).levels == (Level(24, 1),)


def test_stages_of_one_net_may_mix_blocks_and_inputs_any_channels() -> None:
    net = _all_blocks(in_channels=4)
    assert net.levels == (Level(16, 2), Level(16, 4), Level(16, 8), Level(16, 16), Level(32, 32), Level(24, 64),
                          Level(32, 128))  # fmt: skip
    assert [m.shape[-2:] for m in net(torch.zeros(2, 4, 300, 131))][-3:] == [(10, 5), (5, 3), (3, 2)]


@pytest.mark.parametrize("block", ["plain", "residual", "bottleneck", "inception", "separable"])
def test_kernels_are_those_of_the_papers_unless_given(block: str) -> None:
    for given, largest in (({}, 5 if block == "inception" else 3), ({"kernel": 7}, 7)):
        (stage,) = ConvNet(STEM, [_stage(block, **given)]).stages
        assert max(c.kernel_size[0] for c in stage.modules() if isinstance(c, nn.Conv2d)) == largest


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_the_cells_they_announce(name: str, build: Any) -> None:
    network = build(name, "fcn", device="meta")
    levels = network.backbone.levels
    assert all(fine.stride < coarse.stride for fine, coarse in pairwise(levels))
    for height, width in ((64, 64), (75, 53), (224, 320)):
        maps = network.features(torch.empty(2, 3, height, width, device="meta"))
        assert [tuple(m.shape[1:]) for m in maps] == [
            (level.channels, -(-height // level.stride), -(-width // level.stride)) for level in levels
        ]


@pytest.mark.parametrize("pooling", ["max", "average", "convolution"])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_every_size_rounds_up_whatever_the_layers(pooling: str, norm: str) -> None:
    with torch.device("meta"):
        net = _all_blocks(pooling=pooling, norm=norm, activation="gelu", dropout=0.1, stochastic_depth=0.1)
        for side in (128, 129, 130, 191, 255, 3):
            for m, level in zip(net(torch.empty(2, 3, side, 131)), net.levels, strict=True):
                assert m.shape == (2, level.channels, -(-side // level.stride), -(-131 // level.stride))


@pytest.mark.parametrize("pooling", ["max", "average", "convolution"])
def test_exports_for_any_size(pooling: str) -> None:
    net = _all_blocks(pooling=pooling, dropout=0.1, stochastic_depth=0.1).eval()
    sizes = ({2: torch.export.Dim("height", min=129, max=640), 3: torch.export.Dim("width", min=129, max=640)},)
    exported = torch.export.export(net, (torch.randn(1, 3, 260, 300),), dynamic_shapes=sizes).module()
    with torch.no_grad():
        for mine, theirs in zip(exported(x := torch.randn(1, 3, 175, 131)), net(x), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_level_of_a_tensor_is_the_finest_that_changes_with_it() -> None:
    torch.manual_seed(0)
    net = _all_blocks(norm="none")
    maps = net(torch.randn(1, 3, 256, 256))
    for name, parameter in net.named_parameters():
        grads = [torch.autograd.grad(m.sum(), parameter, retain_graph=True, allow_unused=True)[0] for m in maps]
        assert net.level_of(name) == next(index for index, grad in enumerate(grads) if grad is not None)
    named = _all_blocks()
    assert named.level_of("stem.0.1.running_mean") == 0
    assert named.level_of("stages.5.1.branches.3.1.1.num_batches_tracked") == 6
    with pytest.raises(ValueError, match=r"'stages\.5\.wieght' is no tensor of this network"):
        named.level_of("stages.5.wieght")


def test_stochastic_depth_rises_evenly_over_the_blocks_that_add() -> None:
    net = _all_blocks(stochastic_depth=0.4)
    drops = [block.drop.p for block in net.modules() if isinstance(block, Residual | Bottleneck)]
    assert drops == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_dropout_leaves_whole_channels_out_behind_every_stage() -> None:
    torch.manual_seed(0)
    net = ConvNet(
        STEM, [_stage(channels=64), _stage(channels=64, stride=2)], norm="none", activation="tanh", dropout=0.25
    )
    images = torch.randn(8, 3, 16, 16)
    before = [m.detach() for m in net.eval()(images)]
    after = [m.detach() for m in net.train()(images)]
    for m in after:
        assert 80 < (m.flatten(2) == 0).all(2).sum() < 180  # a quarter of 8 x 64
    kept = (after[0].flatten(2) != 0).any(2)
    torch.testing.assert_close(after[0][kept], before[0][kept] / 0.75)


def test_initial_weights_are_those_of_he() -> None:
    torch.manual_seed(0)
    net = ConvNet(STEM, [_stage(channels=64, depth=6, stride=2)])
    first, *rest = (m for m in net.modules() if isinstance(m, nn.Conv2d))
    for conv in rest:  # variance 2 / fan-out
        assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)
    assert first.bias is None


DEEP = [
    *((block, norm, "relu") for block in ("residual", "bottleneck", "plain", "inception", "separable")
      for norm in ("batch", "group", "none")),
    # Without a norm, a chain of other activations fades; sums with what came before do not.
    ("bottleneck", "none", "silu"), ("residual", "none", "gelu"), ("separable", "batch", "silu"),
    ("plain", "none", "leaky_relu"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "norm", "activation"), DEEP)
def test_features_and_gradients_keep_their_scale_through_the_depth(block: str, norm: str, activation: str) -> None:
    torch.manual_seed(0)
    net = ConvNet(STEM, [_stage(block, 64, depth=16)], norm=norm, activation=activation)
    sizes: list[float] = []
    for layer in net.stages[0]:
        layer.register_forward_hook(lambda _m, _i, out: sizes.append(out.square().mean().sqrt().item()))
    (features,) = net(torch.randn(4, 3, 24, 24))
    (features * torch.randn_like(features)).mean().backward()
    assert len(sizes) == 16
    assert all(0.15 < size < 5 for size in sizes)
    gradients = [p.grad.norm().item() for p in net.parameters() if p.dim() == 4]
    assert all(1e-4 < gradient < 50 for gradient in gradients)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([_stage("residul")], r"stages\[0\]\.block='residul' is unknown; did you mean 'residual'"),
        ([_stage("x1")], "choose one of plain, residual, bottleneck, inception, separable"),
        ([_stage(channels=0)], r"stages\[0\]\.channels=0; it has to be a whole number of at least 1"),
        ([_stage(stride=2.0)], r"stages\[0\]\.stride=2\.0; it has to be a whole number"),
        ([_stage(), {"block": "plain", "channels": 8, "depth": 1}], r"stages\[1\] lacks stride"),
        ([{**_stage(), "chanels": 8}], r"stages\[0\] has no field 'chanels'; did you mean 'channels'"),
        ([_stage(), {"pol": 2, "stride": 2}], r"stages\[1\] has no field 'pol'; did you mean 'pool'"),
        ([_stage(), _stage("inception", 24)], r"stages\[1\]\.channels=24 is no multiple of 16"),
        ([_stage("bottleneck", 18)], r"stages\[0\]\.channels=18 is no multiple of 4"),
        ([_stage(kernel=4)], r"stages\[0\]\.kernel=4 is even"),
        ([], "at least one stage"),
        ([{"pool": 2, "stride": 2}], "at least one stage of blocks"),
        (5, "stages=5 is no list"),
        (["plain"], r"stages\[0\]='plain' is no layer"),
        ([{"pool": 2}], r"stages\[0\] lacks stride; it takes pool, stride"),
        ([{"pool": 2, "stride": 2, "pading": 1}], r"stages\[0\] has no field 'pading'; did you mean 'padding'"),
        ([{"pool": 2, "stride": 2, "padding": 2}], r"stages\[0\]\.padding=2; .* from 0 to half the window"),
        ([{"pool": 2, "stride": 2, "ceil": "yes"}], r"stages\[0\]\.ceil='yes'; it has to be true or false"),
        ([_stage("inception", branches=BRANCHES)], r"stages\[0\]\.channels follows from stages\[0\]\.branches"),
        ([{"block": "plain", "stride": 1, "branches": BRANCHES}], "branches goes with block=inception"),
        ([{"block": "inception", "stride": 1, "branches": []}], r"stages\[0\]\.branches=\[\]; it lists, for each"),
        ([{"block": "inception", "stride": 1, "branches": [[[4], [4], [4], [4]]]}], r"branches\[0\]=.* 1, 2, 2 and 1"),
        ([{"block": "inception", "stride": 1, "branches": BRANCHES[0]}], r"branches\[0\]=\[4\]; a block has four"),
        ([{"block": "inception", "stride": 1, "branches": [[[0], [1, 1], [1, 1], [1]]]}], r"branches\[0\]=0; it has"),
    ],
)
def test_bad_stages_say_what_is_allowed(stages: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvNet(STEM, stages)


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ([{"channels": 8, "kernel": 4, "stride": 2}], r"stem\[0\]\.kernel=4 is even; an odd one keeps maps aligned"),
        ({"channels": 8, "kernel": 3, "stride": 2}, r"stem=.* is no list of layers"),
        ([{"channels": 8, "kernel": 3}], r"stem\[0\] lacks stride; it takes channels, kernel, stride"),
        ([{"channels": 8, "kernle": 3, "stride": 2}], r"stem\[0\] has no field 'kernle'; did you mean 'kernel'"),
        ([{"channels": True, "kernel": 3, "stride": 2}], r"stem\[0\]\.channels=True; it has to be a whole number"),
    ],
)
def test_bad_stems_say_what_is_allowed(stem: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvNet(stem, [_stage()])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"in_channels": 0}, "in_channels=0"),
        ({"dropout": 1.0}, "dropout=1.0; it has to be at least 0 and below 1"),
        ({"stochastic_depth": -0.1}, "stochastic_depth=-0.1; it has to be"),
        ({"stochastic_depth": 0.1}, "leaves out residual and bottleneck blocks, of which there are none"),
        ({"activation": "rellu"}, "did you mean 'relu'"),
        ({"padding": "smae"}, "backbone.padding=smae; choose same, published or null"),
    ],
)
def test_bad_settings_say_what_is_allowed(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvNet(STEM, [_stage()], **settings)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="images have 1 channels but the backbone was built with in_channels=3"):
        ConvNet(STEM, [_stage()])(torch.zeros(1, 1, 8, 8))
