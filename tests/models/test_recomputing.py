"""A backbone that computes its stages again gives the same gradients and statistics, out of less memory."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from tests.models.backbone_checks import SMALLEST
from tests.plain_backbone import PlainBackbone
from visionkit.engine.build import build
from visionkit.engine.speed.recomputing import recompute_stages
from visionkit.errors import ConfigError
from visionkit.models.contracts import Backbone

CONF = Path(__file__).parents[2] / "conf" / "backbone"


def built(option: str, **more: Any) -> Backbone:
    node: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{option}.yaml"))
    if "defaults" in node:
        base: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{node.pop('defaults')[0]}.yaml"))
        node = {**base, **node}
    torch.manual_seed(0)
    return build({**node, **more})  # type: ignore[no-any-return]


def step(backbone: nn.Module, images: Tensor) -> tuple[dict[str, Tensor], int]:
    """Take a training step's forward and backward; return gradients and buffers, and the bytes kept in between."""
    kept: dict[int, int] = {}
    own = {tensor.untyped_storage().data_ptr() for tensor in (*backbone.parameters(), *backbone.buffers())}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = backbone(images)
    sum(each.square().mean() for each in maps).backward()
    grads = {name: parameter.grad for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    return {**grads, **{f"buffer {name}": buffer for name, buffer in backbone.named_buffers()}}, sum(kept.values())


def same_in_less(backbone: Backbone, share: float) -> None:
    """Hold two steps of a backbone to those of a copy that computes again, the copy of a copy too."""
    backbone.train()
    again = copy.deepcopy(backbone)
    recompute_stages(again)
    again = copy.deepcopy(again)
    assert list(again.state_dict()) == list(backbone.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    for _ in range(2):
        (expected, whole), (found, less) = step(backbone, images), step(again, images)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert less < share * whole
    with torch.no_grad():
        for a, b in zip(backbone.eval()(images), again.eval()(images), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(("option", "share"), [("resnet_tiny", 0.4), ("resnet18", 0.3)])
def test_the_same_out_of_less(one_thread: None, option: str, share: float) -> None:
    backbone = built(option)
    assert any("running_mean" in name for name, _ in backbone.named_buffers())
    same_in_less(backbone, share)


def test_random_draws_are_repeated(one_thread: None) -> None:
    same_in_less(built("convnet_resnet18", dropout=0.3, stochastic_depth=0.3), 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("option", [name for name in SMALLEST if name != "timm"])
def test_every_family_in_less(one_thread: None, option: str) -> None:
    same_in_less(built(option, **({"padding": "same"} if option == "inception_v3" else {})), 0.5)


@pytest.mark.slow
def test_timm_in_less(one_thread: None) -> None:
    same_in_less(built("timm", name="resnet10t"), 0.4)


def test_frozen_statistics_stay(one_thread: None) -> None:
    """Batch normalisations in evaluation mode in a network that trains."""
    backbone = built("resnet18").train()
    recompute_stages(backbone)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
    step(backbone, torch.randn(2, 3, 64, 64))
    assert all(torch.equal(buffer, before[name]) for name, buffer in backbone.named_buffers())


def test_who_has_no_stages_refuses() -> None:
    with pytest.raises(ConfigError, match=r"activation_checkpointing=true: PlainBackbone does not say.*batch_size"):
        recompute_stages(PlainBackbone())
