"""Every parameter is in one group, with the decay and the rate that its place in the network asks for."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainings import composed, frozen
from tests.two_stages import TWO_STAGES
from visionkit.config.frozen import plain, thaw
from visionkit.engine import build, heads, launch
from visionkit.engine.recipe import groups
from visionkit.engine.setup import set_up
from visionkit.errors import ConfigError


class Whole(nn.Module):
    """A network and a parameter beside it, as learned weights of losses are."""

    def __init__(self, *overrides: str) -> None:
        super().__init__()
        config = plain(composed(*overrides))
        with torch.device("meta"):
            self.network = build.build_network(
                build.network_node(config), dict.fromkeys(heads.heads(config), ("a", "b"))
            )
            self.beside = nn.Parameter(torch.zeros(2, 2))

    def sorted(self, layer_decay: float) -> list[dict[str, Any]]:
        return groups.groups(self, self.network, layer_decay)

    def names(self, group: dict[str, Any]) -> set[str]:
        there = {id(parameter) for parameter in group["params"]}
        return {name for name, parameter in self.named_parameters() if id(parameter) in there}


@pytest.mark.parametrize(
    ("layer_decay", "overrides"),
    [
        (1.0, ["task=multitask"]),
        (0.5, ["task=multitask"]),
        (0.5, ["backbone=googlenet", "neck=none", "head=linear"]),  # with auxiliary classifiers
    ],
)
def test_every_parameter_is_in_one_group(layer_decay: float, overrides: list[str]) -> None:
    whole = Whole(*overrides)
    found = whole.sorted(layer_decay)
    assert all(group["params"] for group in found)
    assert len({group["name"] for group in found}) == len(found)
    names = [name for group in found for name in sorted(whole.names(group))]
    assert sorted(names) == sorted(name for name, _ in whole.named_parameters())
    assert len(found) == (2 if layer_decay == 1 else 2 * (len(whole.network.backbone.levels) + 1))


def test_what_decays_are_the_weights_of_layers() -> None:
    """ConvNeXt has normalisations over channels, and factors of each block's channels with three dimensions."""
    whole = Whole("backbone=convnext_tiny", "task=detection")
    layers = {f"{name}.weight" for name, module in whole.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    decaying, kept = whole.sorted(1.0)
    assert whole.names(decaying) == layers
    assert "weight_decay" not in decaying
    assert kept["weight_decay"] == 0.0
    assert {"beside", "network.heads.detection.scales"} < whole.names(kept)
    assert any("layer_scale" in name for name in whole.names(kept))


def test_factors_of_normalisations_do_not_decay_whatever_their_shape() -> None:
    whole = Whole()
    whole.network.backbone.norm = nn.LayerNorm([4, 4], device="meta")  # type: ignore[assignment]
    assert "network.backbone.norm.weight" in whole.names(whole.sorted(1.0)[1])


def test_what_is_frozen_is_in_no_group() -> None:
    whole = Whole()
    whole.network.backbone.requires_grad_(False)
    found = {name for group in whole.sorted(0.5) for name in whole.names(group)}
    assert found == {"beside"} | {name for name, _ in whole.named_parameters() if ".heads." in name}


def test_the_rate_falls_from_level_to_level_down_to_the_stem() -> None:
    whole = Whole("backbone=resnet18", "task=segmentation")
    levels = len(whole.network.backbone.levels)
    assert levels == 5
    factors = {name: group["factor"] for group in whole.sorted(0.5) for name in whole.names(group)}
    backbone = {name.removeprefix("network.backbone."): f for name, f in factors.items() if ".backbone." in name}
    assert all(backbone[name] == 0.5 ** (levels - whole.network.backbone.level_of(name)) for name in backbone)
    assert {factor for name, factor in factors.items() if name.endswith("layer4.1.conv2.weight")} == {0.5}
    assert {factor for name, factor in backbone.items() if "layer" not in name} == {0.5**5}
    assert {factor for name, factor in factors.items() if ".backbone." not in name} == {1.0}


def test_a_training_keeps_to_the_factors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_dir = frozen(tmp_path / "run", *TWO_STAGES, "layer_decay=0.5", "optimizer.lr=0.008", "scheduler=constant")
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    with caplog.at_level(logging.INFO, "visionkit"):
        setup.trainer.fit(setup.module, setup.data)
    found = setup.trainer.optimizers[0].param_groups
    rates = {group["name"]: (group["lr"], group["weight_decay"]) for group in found}
    expected = {"level 0": 0.002, "level 1": 0.004, "all else": 0.008}
    assert rates == {name: (rate, 0.05) for name, rate in expected.items()} | {
        f"{name}, no decay": (rate, 0.0) for name, rate in expected.items()
    }
    assert "layer_decay: of the learning rate, level 0 0.25, level 1 0.5, all else 1" in caplog.text


def test_a_backbone_without_levels_is_refused() -> None:
    given = [*TWO_STAGES, "backbone._target_=tests.two_stages.NoStages"]
    launch.check(composed(*given))
    with pytest.raises(ConfigError, match=r"NoStages does not say which level .* only layer_decay=1 works with it"):
        launch.check(composed(*given, "layer_decay=0.9"))
