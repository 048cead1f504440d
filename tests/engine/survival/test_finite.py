"""A loss that is not finite stops the training before its step, and is traced to batch, term and layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from torch import Tensor, nn

from tests.trainings import frozen
from visionkit.config.frozen import thaw
from visionkit.engine.fit import fit
from visionkit.engine.module import VisionModule
from visionkit.engine.setup import Setup, set_up
from visionkit.engine.survival import finite
from visionkit.engine.survival.blame import blame
from visionkit.engine.survival.writing import NotFiniteError
from visionkit.types import Batch

TASKS = [
    "classification",
    "segmentation",
    "detection",
    pytest.param("multitask", marks=pytest.mark.slow),
    pytest.param("multitask trainer=gpu", marks=pytest.mark.gpu),
]
LAYER = "backbone.stages.1"
"""Of the default backbone: what the tests spoil."""


def spoil(layer: nn.Module) -> Any:
    """Let a layer give one number that is none."""

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        spoilt = output.clone()
        spoilt[(0,) * output.ndim] = torch.nan
        return spoilt

    return layer.register_forward_hook(hook)


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_that_gives_nan_stops_the_training(
    tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    """The first epoch is left to go on from, and the batch of the seventh step is kept."""
    task, *more = task.split()
    run_dir = frozen(tmp_path / "run", f"task={task}", "epochs=3", "augment=none", *more)
    leftover = run_dir / "checkpoints/.last.ckpt.part"
    leftover.parent.mkdir()
    leftover.touch()
    step = VisionModule.training_step
    batches: list[Batch] = []

    def training_step(self: VisionModule, batch: Batch, batch_idx: int) -> Any:
        batches.append(batch)
        if len(batches) == 7:
            spoil(self.get_submodule(f"network.{LAYER}"))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(VisionModule, "training_step", training_step)
    with pytest.raises(NotFiniteError) as error:
        fit(run_dir)
    told = str(error.value)
    assert len(batches) == 7
    assert not leftover.exists()
    for words in (
        "in epoch 2, step 7: not finite: ", f"the first layer whose output is not finite is {LAYER}\n",
        "nan_batch.pt", "lower optimizer.lr (it is 0.0", f"go on by the same command with resume={run_dir}",
    ):  # fmt: skip
        assert words in told, told
    if task == "multitask":
        assert "of classification" in told
        assert "of detection" in told
    kept = torch.load(run_dir / "nan_batch.pt", weights_only=True)
    assert torch.equal(kept["images"], batches[6].images.cpu())
    assert kept["ids"].tolist() == batches[6].ids.tolist()
    assert all(name in told for name in kept["names"])
    assert torch.equal(kept["targets"]["present"], batches[6].targets.present.cpu())
    pictures = list(run_dir.glob("nan_batch*.png"))
    assert len(pictures) == 1
    assert all(cv2.imread(str(picture)) is not None for picture in pictures)
    last = torch.load(run_dir / "checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 5
    assert not (run_dir / "result.json").exists()


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """A training of boxes that only waits to be started."""
    run_dir = frozen(tmp_path_factory.mktemp("blame") / "run", "task=detection")
    return set_up(thaw(run_dir), run_dir, progress_bar=False)


@pytest.fixture
def batch(setup: Setup) -> Batch:
    """Its first batch."""
    found: Batch = next(iter(setup.data.train_dataloader()))
    return found


def test_all_is_well(setup: Setup, batch: Batch) -> None:
    found = blame(setup.module, batch)
    assert found == ([], None, None)
    assert "chance" in found.told()


def test_a_spoilt_weight_is_named_before_any_layer(setup: Setup, batch: Batch) -> None:
    name, weight = [(n, p) for n, p in setup.module.network.backbone.named_parameters() if p.ndim == 4][2]
    kept = weight.detach().clone()
    weight.data[0, 0, 0, 0] = torch.nan
    found = blame(setup.module, batch)
    weight.data.copy_(kept)
    assert found.weight == f"backbone.{name}"
    assert f"the weights backbone.{name} are not finite, so the step before has spoilt them" in found.told()


def test_the_innermost_layer_that_gives_it_first_is_named(setup: Setup, batch: Batch) -> None:
    network = setup.module.network
    convolution = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)][3]
    handle = spoil(network.get_submodule(convolution))
    found = blame(setup.module, batch)
    handle.remove()
    assert found.layer == convolution
    assert blame(setup.module, batch).layer is None
    assert not any(layer._forward_hooks for layer in network.modules()), "every later step is watched too"


def test_a_term_of_the_loss_alone(setup: Setup, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    (head,) = setup.module.network.heads.values()
    loss = head.loss
    monkeypatch.setattr(head, "loss", lambda *given: {**loss(*given), "box_loss": torch.tensor(torch.nan)})
    found = blame(setup.module, batch)
    assert found.terms == ["box_loss of detection"]
    assert found.layer is None
    assert "every layer's output is finite, so the loss itself makes it" in found.told()


def test_what_is_not_plain_precision_or_not_clipped_is_advised_against(setup: Setup) -> None:
    assert finite.lower("bf16-mixed", None, 0.01) == (
        "optimizer.lr (it is 0.01 now), the risk of trainer.precision=bf16-mixed by 32-true, or large gradients by "
        "trainer.gradient_clip_val=1"
    )
    assert finite.lower("32-true", 1.0, 0.002) == "optimizer.lr (it is 0.002 now)"


def test_names_are_listed_up_to_a_limit() -> None:
    assert finite.listed([str(n) for n in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert finite.listed(["a", "b"]) == "a, b"
