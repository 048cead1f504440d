"""class_metrics against scikit-learn and a hand-worked calibration error, alone and in two processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from visionkit.metrics.classification import class_metrics
from visionkit.metrics.multilabel import MultilabelMetrics
from visionkit.metrics.segmentation import MaskMetrics


def sample() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(60, 4, generator=generator).softmax(1), torch.randint(0, 4, (60,), generator=generator)


def test_equals_sklearn() -> None:
    probabilities, labels = sample()
    metric = class_metrics(4)
    metric.update(probabilities[:7], labels[:7])
    metric.update(probabilities[7:], labels[7:])
    values = metric.compute()
    found = probabilities.argmax(1)
    assert values["accuracy"].item() == pytest.approx(accuracy_score(labels, found))
    assert values["accuracy_macro"].item() == pytest.approx(balanced_accuracy_score(labels, found))
    assert values["f1_macro"].item() == pytest.approx(f1_score(labels, found, average="macro"))


def test_calibration_by_hand() -> None:
    """Four guesses at 0.9 of which two are right, in one bin: 0.9 - 0.5."""
    metric = class_metrics(2)
    metric.update(torch.tensor([[0.9, 0.1]] * 4), torch.tensor([0, 1, 0, 1]))
    assert metric.compute()["ECE"].item() == pytest.approx(0.4)


def _rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    probabilities, labels = sample()
    several = torch.nn.functional.one_hot(labels, 4)
    classes, masks, alone, shared = class_metrics(4), MaskMetrics(4, None), *(MultilabelMetrics(4, 0.3) for _ in "12")
    if rank == 1:  # the other process has no batch at all
        classes.update(probabilities, labels)
        masks.update(probabilities[:, :, None, None], labels[:, None, None])
        alone.update(probabilities, several)
    own = slice(0, 13) if rank == 0 else slice(13, None)
    shared.update(probabilities[own], several[own])
    values = {**classes.compute(), **masks.compute()}
    for number, metric in enumerate((alone, shared)):
        values |= {f"{name}_{number}": value for name, value in metric.compute().items()}
    torch.save({name: value.item() for name, value in values.items()}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_a_process_without_batches_does_not_hang(tmp_path: Path) -> None:
    mp.start_processes(_rank, (tmp_path,), nprocs=2, start_method="spawn")
    probabilities, labels = sample()
    metric = class_metrics(4)
    metric.update(probabilities, labels)
    expected = {name: value.item() for name, value in metric.compute().items()}
    several = MultilabelMetrics(4, 0.3)
    several.update(probabilities, torch.nn.functional.one_hot(labels, 4))
    for name, value in several.compute().items():
        expected |= dict.fromkeys((f"{name}_0", f"{name}_1"), value.item())
    for rank in (0, 1):
        values = torch.load(tmp_path / f"{rank}.pt")
        assert values["pixel_accuracy"] == pytest.approx(expected["accuracy"])
        assert {name: values[name] for name in expected} == pytest.approx(expected)
