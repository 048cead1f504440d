"""Every option of conf/backbone keeps its promises: a new YAML is tested as soon as it is in a family."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf

from tests.models import backbone_checks as checks
from tests.models.backbone_checks import BACKBONES, CONF, FAMILIES, SMALLEST
from tests.models.conftest import FIXED_SIZE
from visionkit.engine.build import build as built
from visionkit.models.backbones.torchvision import Torchvision

OFFICIAL = [name for name in SMALLEST if checks.name_of(name)]
TORCHVISION = [name for name in BACKBONES if checks.name_of(name)]

# Exporting the others takes 5 to 40 s each.
EXPORTED = ["resnet_tiny"]


def _every(quick: list[str], slow: list[str] = (), of: list[str] = BACKBONES) -> list[object]:
    """Return all options, those neither quick nor slow marked for `make verify`."""
    full = [pytest.param(name, marks=pytest.mark.full) for name in of if name not in (*quick, *slow)]
    return [*quick, *(pytest.param(name, marks=pytest.mark.slow) for name in slow), *full]


def test_every_option_belongs_to_one_family() -> None:
    assert sorted(member for members in FAMILIES.values() for member in members) == BACKBONES


@pytest.mark.parametrize("option", BACKBONES)
def test_geometry_tensors_and_levels(option, build) -> None:
    body = build(option, "fcn", device="meta").backbone  # a head that counts on the cells of a level
    checks.geometry(body)
    checks.levels_of(body)
    if isinstance(body, Torchvision):
        checks.tensors(option, body)


@pytest.mark.parametrize("option", _every(SMALLEST))
def test_published_layers_have_the_strides_too(option, build) -> None:
    body = build(option, "linear", device="meta").backbone
    checks.stride(body)
    checks.levels_are_those_of_gradients(body)


@pytest.mark.parametrize("option", OFFICIAL)
def test_padding_is_a_setting_where_it_changes_anything(option, build) -> None:
    sizes = []
    for head in ("fcn", "linear"):
        body = build(option, head, device="meta").backbone
        sizes.append([m.shape for m in body(torch.empty(1, 3, 107, 83, device="meta"))])
    listed = "padding" in OmegaConf.load(CONF / "backbone" / f"{option}.yaml")
    assert (sizes[0] != sizes[1]) == listed


@pytest.mark.parametrize("option", _every(SMALLEST))
def test_learns_under_every_head(option, build, scene) -> None:
    network = checks.every_head(option, build)
    checks.trains(network, *scene(2, *FIXED_SIZE["vgg"]))


@pytest.mark.parametrize("option", _every(EXPORTED, [name for name in SMALLEST if name not in EXPORTED]))
def test_exports_under_every_head_for_any_size(option, build) -> None:
    heads = [head for head in checks.HEADS if head not in FIXED_SIZE]
    checks.exports(checks.every_head(option, build, heads))


@pytest.mark.parametrize("option", _every(OFFICIAL, of=TORCHVISION))
def test_published_layers_make_the_published_map(option, build) -> None:
    body = build(option, "linear").backbone.eval()
    checks.randomise(body)
    images = torch.randn(1, 3, 107, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = body(images)[len(body.levels) - 1]
    theirs = checks.published_map(option, body, images)
    ours = ours if theirs.dim() == 4 else ours.mean(dim=(2, 3))
    assert ours.std() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


@pytest.mark.parametrize("option", SMALLEST)
def test_random_weights_keep_signals_in_scale(option, build) -> None:
    body = build(option, "fcn").backbone.eval()
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        scales = [m.std().item() for m in body(images)]
    # Without statistics of its own batch, EfficientNet's gates and SiLUs halve small signals block after block.
    assert all(1e-5 < scale < 1e3 for scale in scales), scales


@pytest.mark.parametrize("option", [*OFFICIAL, "timm"])
def test_images_of_other_channels(option) -> None:
    node = OmegaConf.to_container(OmegaConf.load(CONF / "backbone" / f"{option}.yaml"))
    with torch.device("meta"):
        body = built({**node, "in_channels": 5})
    assert body.state_dict()[body.first_convolution].shape[1] == 5
    body(torch.empty(2, 5, 75, 53, device="meta"))
    with pytest.raises(ValueError, match="images have 3 channels but the backbone was built with in_channels=5"):
        body(torch.empty(2, 3, 75, 53, device="meta"))
