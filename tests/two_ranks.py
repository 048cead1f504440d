"""Train the same frozen runs in this process and in two that are started for it once, and note what comes out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor, distributed
from torch import multiprocessing as mp

from visionkit.config.frozen import thaw
from visionkit.engine.processes import sharding
from visionkit.engine.quiet import quieten
from visionkit.engine.setup import set_up
from visionkit.types import IGNORE_INDEX, LABEL_KINDS, Batch

BOXES = LABEL_KINDS.index("boxes")


class Ran(NamedTuple):
    """What a run of a few steps did in one process."""

    gradients: dict[str, Tensor]
    """Of the first step."""
    way: dict[str, Tensor]
    """From the first weights to the last."""
    metrics: dict[str, float]
    """Of the validation split, with fixed weights."""
    counts: dict[str, int]
    """What the first batch had in this process: images, boxes, labelled pixels."""


class Watch(L.Callback):
    """Notes the first batch and the first gradients."""

    def __init__(self) -> None:
        self.gradients: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, batch_idx: int) -> None:
        targets = batch.targets
        if not self.counts:
            boxes = 0 if targets.boxes is None else len(targets.boxes)
            pixels = 0 if targets.mask is None else int((targets.mask != IGNORE_INDEX).sum())
            self.counts = {"images": len(batch.images), "boxes": boxes, "pixels": pixels}

    def on_before_optimizer_step(self, trainer: L.Trainer, module: L.LightningModule, optimizer: Any) -> None:
        if not self.gradients:
            self.gradients = {name: _whole(p.grad) for name, p in module.named_parameters() if p.grad is not None}


def _whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach().clone()


class Trained(NamedTuple):
    """What is left of a training."""

    watch: Watch
    first: dict[str, Tensor]
    last: dict[str, Tensor]


def train(run_dir: Path, *, boxes_of_first_rank_only: bool = False) -> Trained:
    """Train a frozen run.

    With `boxes_of_first_rank_only` the images that the second of two ranks gets carry no boxes.
    """
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    watch = Watch()
    setup.trainer.callbacks.append(watch)
    if boxes_of_first_rank_only:

        def unlabelled(batch: Batch, loader: int) -> Batch:
            present = torch.ones(len(batch.images), len(LABEL_KINDS), dtype=torch.bool)
            present[:, BOXES] = torch.arange(len(present)) % 2 == 0 if _alone() else distributed.get_rank() == 0
            return batch._replace(targets=batch.targets._replace(present=present))

        setup.data.on_after_batch_transfer = unlabelled
    first = {name: _whole(tensor) for name, tensor in setup.module.state_dict().items()}
    setup.trainer.fit(setup.module, setup.data)
    return Trained(watch, first, {name: _whole(tensor) for name, tensor in setup.module.state_dict().items()})


def validate(run_dir: Path, weights: dict[str, Tensor]) -> dict[str, float]:
    """Return the metrics of a frozen run's validation split with weights of elsewhere."""
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    sharding.load(setup.module, weights)
    return dict(setup.trainer.validate(setup.module, setup.data, verbose=False)[0])


def _alone() -> bool:
    return not distributed.is_initialized()


def ran(run_dir: Path, others: Path, **settings: bool) -> Ran:
    """Train and validate a frozen run; the fixed weights are those that one process ends with."""
    quieten()
    trained = train(run_dir, **settings)
    way = {name: last - trained.first[name] for name, last in trained.last.items() if last.is_floating_point()}
    fixed = others / f"{run_dir.name}.pt"
    if _alone():
        torch.save(trained.last, fixed)
    return Ran(trained.watch.gradients, way, validate(run_dir, torch.load(fixed)), trained.watch.counts)


class Two:
    """Two processes that train the frozen runs of a folder while this one may do the same."""

    def __init__(self, folder: Path, runs: list[Path], settings: dict[str, dict[str, bool]]) -> None:
        self.folder = folder
        self._ready = mp.get_context("spawn").Event()
        arguments = (folder, runs, settings, self._ready)
        self._processes = mp.start_processes(_rank, arguments, nprocs=2, join=False, start_method="spawn")

    def results(self) -> list[dict[str, Ran]]:
        """Return what both did, by the name of the run; to be called when this process has left its weights."""
        self._ready.set()
        while not self._processes.join():
            pass
        return [torch.load(self.folder / f"rank{rank}.pt", weights_only=False) for rank in (0, 1)]


def _rank(rank: int, folder: Path, runs: list[Path], settings: dict[str, dict[str, bool]], ready: Any) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    ready.wait()
    torch.save({run.name: ran(run, folder, **settings.get(run.name, {})) for run in runs}, folder / f"rank{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
