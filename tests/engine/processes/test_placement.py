"""How many processes train, and what the trainer of each is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from visionkit.engine.processes.placement import Size, arguments, asked, placed
from visionkit.engine.processes.sharding import Sharded
from visionkit.errors import ConfigError

CPU = {"accelerator": "cpu", "strategy": "ddp"}
GPU = {"accelerator": "gpu", "strategy": "ddp"}


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)


@pytest.mark.parametrize(
    ("node", "size"),
    [
        ({}, Size(1, 1)),
        ({"accelerator": "cpu", "devices": "auto"}, Size(1, 1)),
        ({"accelerator": "auto", "devices": "auto"}, Size(1, 3)),
        ({"accelerator": "gpu", "devices": 2, "num_nodes": 4}, Size(4, 2)),
    ],
)
def test_auto_is_a_process_a_gpu(three_gpus: None, node: dict[str, Any], size: Size) -> None:
    assert asked(node) == size


def test_batch_statistics_are_shared_on_gpus(three_gpus: None) -> None:
    assert arguments(GPU, Size(1, 2))["sync_batchnorm"] is True
    assert arguments(GPU, Size(2, 1))["sync_batchnorm"] is True
    assert arguments({**GPU, "sync_batchnorm": False}, Size(1, 2))["sync_batchnorm"] is False
    assert arguments(CPU, Size(1, 2))["sync_batchnorm"] is False
    assert "sync_batchnorm" not in arguments(GPU, Size(1, 1)), "one process has nobody to share with"


def test_batch_statistics_cannot_be_shared_on_a_cpu() -> None:
    with pytest.raises(ConfigError, match="need GPUs"):
        arguments({**CPU, "sync_batchnorm": True}, Size(1, 2))


def test_the_launcher_goes_before_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"accelerator": "cpu", "devices": 4, "num_nodes": 3}
    alone = placed(node)
    assert (alone["devices"], alone["num_nodes"], "strategy" in alone) == (1, 1, False)
    assert isinstance(alone["plugins"][0], LightningEnvironment)
    for name, value in {"RANK": "5", "WORLD_SIZE": "6", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    found = placed(node)
    assert (found["devices"], found["num_nodes"], found["strategy"]) == (2, 3, "ddp")
    assert isinstance(found["plugins"][0], TorchElasticEnvironment), "on SLURM Lightning would take its own"
    sharded = placed({**node, "strategy": "fsdp"})["strategy"]
    assert isinstance(sharded, Sharded)
    assert not sharded.synchronised
