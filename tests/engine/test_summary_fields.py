"""Receptive fields against gradients and multiply-adds against torch's counter, for every family."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.engine.summarised import Averaging, backbones, compare, composed, maps, predicted, seen
from visionkit.config.folders import conf_dir
from visionkit.engine.summary import tracing

# The smallest member of each family, and the side at which the windows of its middle cells lie inside the image.
FAMILIES = {
    "vgg_tiny": 256, "resnet_tiny": 192, "inception_tiny": 384, "lenet": 96,
    "vgg11": 320, "resnet18": 576, "resnet50_dilated": 576, "googlenet": 544, "inception_v3": 1536,
    "mobilenet_v3_small": 768, "efficientnet_b0": 1088, "convnext_tiny": 1920, "densenet121": 2304,
}  # fmt: skip
NARROW = 96  # the other side: pixels enough for every backbone
HEADS = {
    "fpn": ["task=detection", "backbone=resnet_tiny"],
    "more levels": ["task=detection", "backbone=vgg_tiny", "neck.num_levels=5"],
    "unet": ["task=segmentation", "backbone=resnet_tiny"],
    "fcn": ["task=segmentation", "backbone=inception_tiny", "head=fcn"],
}


def cases() -> list[object]:
    """Return each family, with both paddings where it has them; what takes over a second is slow."""
    found = []
    for name in FAMILIES:
        has = "\npadding:" in (conf_dir() / "backbone" / f"{name}.yaml").read_text(encoding="utf-8")
        for padding in ["same", "published"] if has else ["none"]:
            slow = name in {"convnext_tiny", "densenet121", "inception_v3"} and padding == "same"
            found.append(pytest.param(name, padding, marks=pytest.mark.slow if slow else ()))
    return found


@pytest.mark.parametrize(("name", "padding"), cases())
def test_receptive_fields_are_those_of_gradients(name: str, padding: str) -> None:
    network = composed(f"backbone={name}", *([] if padding == "none" else [f"backbone.padding={padding}"]))
    levels = len(network.backbone.levels)
    assert compare(network, (FAMILIES[name], NARROW), phases=1) >= levels
    assert compare(network, (NARROW, FAMILIES[name]), phases=1) >= levels


@pytest.mark.parametrize("name", [name for name in backbones() if name not in {*FAMILIES, "timm"}])
@pytest.mark.full
def test_receptive_fields_of_all_other_backbones(name: str) -> None:
    network = composed(f"backbone={name}")
    field = predicted(network, (NARROW, NARROW))[-1][1]
    assert field is not None
    low, high = field.windows[0].at(0)
    side = int(high - low) + 4 * network.backbone.levels[-1].stride
    assert compare(network, (side, NARROW), phases=1) >= len(network.backbone.levels)
    assert compare(network, (NARROW, side), phases=1) >= len(network.backbone.levels)


@pytest.mark.parametrize("size", [(512, 512), (413, 371)])
@pytest.mark.parametrize("name", list(HEADS))
def test_receptive_fields_behind_necks_and_heads(name: str, size: tuple[int, int]) -> None:
    assert compare(composed(*HEADS[name]), size) > 0


def test_every_cell_of_a_decoder_sees_what_it_says() -> None:
    network = composed("task=segmentation", "backbone=resnet_tiny")
    images = torch.rand(1, 3, 128, 64, dtype=torch.float64).requires_grad_()
    with Averaging():
        logits = maps(network, images)[-1]
    field = predicted(network, (128, 64))[-1][1]
    assert field is not None
    for row in range(48, 80):  # all phases of the coarsest stride, far from the border
        low, high = field.windows[0].at(row)
        assert seen(images, logits, row, 32)[0] == (max(low, 0), min(high, 128)), row


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0"])
def test_gates_see_the_whole_image(name: str) -> None:
    network = composed(f"backbone={name}")
    side = 512
    images = torch.rand(1, 3, side, NARROW, dtype=torch.float64).requires_grad_()
    with Averaging(gates=True):
        real = maps(network, images)
    for (shape, field), one in zip(predicted(network, (side, NARROW)), real, strict=True):
        assert field is not None
        cell = (shape[2] // 2, shape[3] // 2)
        window = field.windows[0].at(cell[0])
        found = seen(images, one, *cell)[0]
        assert found == ((0, side) if field.windows[0].context else tuple(window))
    assert field.windows[0].context


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAMILIES else pytest.mark.full) for n in backbones() if n != "timm"]
)
def test_multiply_adds_are_those_of_torchs_counter(name: str) -> None:
    _same_count(composed(f"backbone={name}", "num_classes=7"), (160, 96))


@pytest.mark.parametrize("name", list(HEADS))
def test_multiply_adds_of_whole_networks(name: str) -> None:
    _same_count(composed(*HEADS[name]), (75, 53))


def test_timm_too() -> None:
    pytest.importorskip("timm")
    network = composed("backbone=timm")
    _same_count(network, (96, 64))
    assert compare(network, (640, NARROW), phases=1)


def _same_count(network: torch.nn.Module, size: tuple[int, int]) -> None:
    trace, levels = tracing.run(network, size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, *size, device="meta", dtype=torch.uint8))
    assert 2 * sum(layer.multiply_adds for layer in trace.layers) == counter.get_total_flops() > 0
    assert all(level.view is not None for level in levels)
