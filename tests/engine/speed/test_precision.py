"""Each device trains in the precision that it is fast in, and losses and metrics are computed in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from tests.trainings import composed, frozen
from visionkit.config.frozen import thaw
from visionkit.engine.preflight import check
from visionkit.engine.setup import set_up
from visionkit.engine.speed import precision
from visionkit.errors import ConfigError


class Machine:
    """A machine with a GPU or none, by patches of torch."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def has(self, gpu: bool, *, bf16: bool = False) -> None:
        self._patch.setattr(torch.cuda, "is_available", lambda: gpu)
        self._patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 or including_emulation)
        self._patch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_auto_is_what_a_device_is_fast_in(machine: Machine) -> None:
    machine.has(gpu=False)
    assert precision.resolved({"accelerator": "auto", "precision": "auto"}) == "32-true"
    machine.has(gpu=True, bf16=True)
    assert precision.resolved({"accelerator": "auto", "precision": "auto"}) == "bf16-mixed"
    assert precision.resolved({"accelerator": "cpu", "precision": "auto"}) == "32-true"
    assert precision.resolved({"accelerator": "gpu", "precision": 32}) == "32-true"
    machine.has(gpu=True)
    assert precision.resolved({"accelerator": "gpu", "precision": "auto"}) == "16-mixed"


def test_a_device_refuses_what_it_cannot(machine: Machine) -> None:
    machine.has(gpu=True)
    with pytest.raises(ConfigError, match=r"bf16-mixed needs a GPU with bfloat16.*Tesla T4 is not; give 16-mixed"):
        precision.resolved({"accelerator": "gpu", "precision": "bf16-mixed"})
    assert precision.resolved({"accelerator": "cpu", "precision": "bf16"}) == "bf16-mixed"
    machine.has(gpu=False)
    with pytest.raises(ConfigError, match=r"trainer\.precision=16 needs a GPU.*give 32"):
        check(composed("trainer=auto", "trainer.precision=16"))
    check(composed("trainer=auto", "trainer.precision=32"))


def test_a_gpu_looks_for_the_fastest_convolutions_of_one_size(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", said.append)
    machine.has(gpu=False)
    assert precision.tune({"accelerator": "auto"}, one_size=True) == {}
    assert not said
    machine.has(gpu=True)
    assert precision.tune({"accelerator": "gpu"}, one_size=True) == {"benchmark": True}
    assert precision.tune({"accelerator": "gpu"}, one_size=False) == {"benchmark": False}
    assert precision.tune({"accelerator": "gpu", "deterministic": True}, one_size=True) == {}
    assert set(said) == {"high"}


class Types(L.Callback):
    """Notes which type the network's outputs, the losses and the predictions have."""

    def __init__(self) -> None:
        self.outputs: set[torch.dtype] = set()
        self.terms: dict[str, list[float]] = {}
        self.full: list[float] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module
        (self.head,) = module.network.heads.values()
        module.network.register_forward_hook(self._see)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert {value.dtype for value in outputs["terms"].values()} == {torch.float32}
        # What the loss makes of the same outputs where nothing is mixed.
        again = self.head.loss(next(iter(self.last.values())), batch.targets)
        assert float(outputs["loss"]) == float(sum(again.values()).detach())

    def _see(self, network: Any, inputs: Any, outputs: Any) -> None:
        self.last = outputs
        self.outputs |= {each.dtype for head in outputs.values() for each in head if isinstance(each, torch.Tensor)}


@pytest.mark.parametrize("task", ["classification", "multilabel", "segmentation", "detection"])
def test_every_task_trains_in_bfloat16_with_losses_in_full(tmp_path: Path, task: str) -> None:
    run_dir = frozen(tmp_path / "run", f"task={task}", "trainer.precision=bf16-mixed", "+trainer.limit_train_batches=2")
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    types = Types()
    setup.trainer.callbacks.append(types)
    seen: list[torch.dtype] = []
    (own,) = setup.tasks.values()
    update = own.update
    own.update = lambda metric, prediction, batch: (  # type: ignore[method-assign]
        seen.extend(each.dtype for each in prediction if each.is_floating_point()), update(metric, prediction, batch)
    )[1]  # fmt: skip
    setup.trainer.fit(setup.module, setup.data)
    assert torch.bfloat16 in types.outputs
    assert set(seen) == {torch.float32}
    assert {p.dtype for p in setup.module.parameters()} == {torch.float32}
    assert setup.trainer.global_step == 2
    assert setup.config["trainer"]["precision"] == "bf16-mixed"
