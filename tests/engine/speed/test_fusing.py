"""Optimizers that have a fused step use it, and it does what the other does."""

from __future__ import annotations

import copy

import pytest
import torch
from lightning.fabric.plugins.precision.amp import _optimizer_handles_unscaling
from torch import nn

from tests.trainings import composed
from visionkit.config.frozen import plain
from visionkit.engine.preflight import check
from visionkit.engine.speed.fusing import clippable, fused
from visionkit.errors import ConfigError

ADAMW = {"_target_": "torch.optim.AdamW", "lr": 1e-3}
CPU = {"accelerator": "cpu", "precision": "auto", "gradient_clip_val": 1.0}


def test_it_is_used_where_there_is_one() -> None:
    assert fused(ADAMW, CPU) == {"fused": True}
    assert fused({"_target_": "torch.optim.Adam"}, {**CPU, "precision": "bf16-mixed"}) == {"fused": True}
    assert fused({"_target_": "torch.optim.SGD"}, CPU) == {}
    assert fused(ADAMW, {**CPU, "strategy": "fsdp"}) == {}
    assert fused({"_target_": "torch.optim.NAdam"}, CPU) == {}
    assert fused(ADAMW, {**CPU, "accelerator": "mps"}) == {}


@pytest.mark.parametrize("given", [{"fused": False}, {"foreach": True}, {"differentiable": True}])
def test_what_is_given_counts(given: dict[str, bool]) -> None:
    assert fused({**ADAMW, **given}, CPU) == {}


def test_a_fused_step_is_the_step() -> None:
    """Ten steps of the config's own optimizer, of weights of both memory layouts and one that nothing uses."""
    config = plain(composed())
    settings = {key: value for key, value in config["optimizer"].items() if key != "_target_"}
    assert fused(config["optimizer"], config["trainer"]) == {"fused": True}
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
    network = nn.ModuleDict({"body": body, "unused": nn.Linear(2, 2)}).to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 9, 9)
    runs = []
    for fast in (True, False):
        own = copy.deepcopy(network)
        optimizer = clippable(torch.optim.AdamW(own.parameters(), fused=fast, **settings))
        for _ in range(10):
            optimizer.zero_grad()
            own["body"](images).square().mean().backward()
            optimizer.step()
        runs.append(own)
    for (name, one), other, before in zip(
        runs[0].named_parameters(), runs[1].parameters(), network.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        assert torch.equal(one, before) == name.startswith("unused")


def test_scaled_gradients_are_clipped_in_their_own_size() -> None:
    """As Lightning does with 16-mixed: scale, backward, unscale, clip, step. A step of SGD is the clipped gradient."""
    weight = nn.Parameter(torch.zeros(4))
    optimizer = clippable(torch.optim.SGD([weight], lr=1.0, fused=True))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((weight * 3).sum()).backward()
    assert not _optimizer_handles_unscaling(optimizer)
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_([weight], 1.0)
    scaler.step(optimizer)
    torch.testing.assert_close(weight.detach(), torch.full((4,), -0.5))


def test_what_an_optimizer_refuses_together_is_said_before_training() -> None:
    with pytest.raises(ConfigError, match="cannot be `True` together"):
        check(composed("+optimizer.fused=true", "+optimizer.foreach=true"))
