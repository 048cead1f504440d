"""Networks of timm as backbones."""

from __future__ import annotations

import sys

import pytest
import timm
import torch

from tests.models import backbone_checks as checks
from visionkit.models.backbones.timm import Timm


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("inception_v4", marks=pytest.mark.slow),
        pytest.param("inception_resnet_v2", marks=pytest.mark.slow),
        "seresnet18", "legacy_seresnet18", "tf_efficientnet_lite0", "vgg11", "convnext_atto",
    ],
)  # fmt: skip
def test_same_padding_gives_the_cells_and_keeps_the_tensors(name) -> None:
    with torch.device("meta"):
        body, plain = Timm(name), Timm(name, padding="published")
        own = timm.create_model(name, features_only=True)
    checks.geometry(body)
    checks.stride(plain)
    checks.levels_are_those_of_gradients(body)
    shapes = {key: value.shape for key, value in own.state_dict().items()}
    for made in (body, plain):
        assert {key: value.shape for key, value in made.body.state_dict().items()} == shapes


def test_published_layers_are_timms() -> None:
    torch.manual_seed(0)
    body = Timm("legacy_seresnet18", padding="published").eval()
    own = timm.create_model("legacy_seresnet18", features_only=True).eval()
    own.load_state_dict(body.body.state_dict())
    images = torch.randn(1, 3, 75, 53)
    with torch.no_grad():
        for mine, theirs in zip(body(images), own(images), strict=True):
            assert torch.equal(mine, theirs)


def test_stem_inceptions_layers_are_mended() -> None:
    body = Timm("inception_v4", in_channels=1)
    assert body.state_dict()[body.first_convolution].shape == (32, 1, 3, 3)
    assert body.body.features_0.conv.padding == (1, 1)
    with torch.no_grad():
        maps = body.eval()(torch.randn(1, 1, 75, 53))
    assert [tuple(m.shape[2:]) for m in maps] == [(-(-75 // s), -(-53 // s)) for _, s in body.levels]


def test_what_cannot_serve_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="timm has no network 'inception_v44'; did you mean 'inception_v4'"):
        Timm("inception_v44")
    with pytest.raises(ValueError, match=r"swin_tiny.* its maps have their channels last$"):
        Timm("swin_tiny_patch4_window7_224")
    with pytest.raises(ValueError, match=r"dla34 cannot be a backbone: from 128 x 128 pixels it makes a map of \(16,"):
        Timm("dla34")
    with pytest.raises(ValueError, match=r"inception_v3 cannot .*backbone.padding=published takes it as it is"):
        Timm("inception_v3")  # whose pools are no modules; backbone=inception_v3 is torchvision's
    with pytest.raises(ValueError, match=r"backbone\.padding=valid"):
        Timm("vgg11", padding="valid")
    with torch.device("meta"), pytest.raises(ValueError, match="does not name the layers"):
        Timm("pnasnet5large").level_of("body.conv_0.conv.weight")
    with torch.device("meta"), pytest.raises(ValueError, match="has no tensor 'conv'"):
        Timm("seresnet18").level_of("conv")


def test_without_timm_it_says_what_to_type(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r'pip install "visionkit\[timm\]"'):
        Timm("vgg11")
