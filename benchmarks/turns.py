"""Train one network by the trainer and a copy of it by a plain PyTorch loop, turn by turn on the same batches."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tests.trainings import composed
from visionkit.config.frozen import freeze, thaw
from visionkit.engine.preflight import check
from visionkit.engine.quiet import start_log
from visionkit.engine.setup import Setup, set_up
from visionkit.engine.speed.allocating import MMAP_THRESHOLD, TRIM_THRESHOLD, keep_freed
from visionkit.types import Batch

WARM_UP = 2
"""Pairs that do not count: kernels are chosen or compiled, and memory is taken."""

BATCHES = 8
"""How many are made; all of them lie in the memory of the device."""


class Pair(NamedTuple):
    """Milliseconds a step of one turn each."""

    ours: float
    bare: float


class Measured(NamedTuple):
    """What a comparison came to."""

    pairs: list[Pair]
    batch_size: int
    memory: tuple[int, int]
    """The most bytes that a GPU held in a turn of ours and of the bare loop, weights and moments of both included."""


def compare(overrides: Sequence[str], *, pairs: int, steps: int, plain: bool = False) -> Measured:
    """Return the times of `pairs` turns of `steps` steps each.

    Ours is a whole training of one epoch with all defaults: callbacks, progress bar, metrics.csv, checkpoints,
    schedule, clipping. The bare loop is `bare`; `plain` leaves it with what torch does when it is told nothing: its own
    memory layout, float32, and freed memory that glibc gives back to the system.
    """
    with tempfile.TemporaryDirectory() as folder, _terminal(), contextlib.ExitStack() as left:
        run_dir = Path(folder, "run")
        run_dir.mkdir()
        left.callback(start_log, None, screen=False)  # the log's file goes with the folder
        torch._dynamo.reset()  # or it takes the sizes of the comparison before for sizes that change
        config = composed("epochs=1", "data.workers=0", "augment=none", *overrides, small=False)
        check(config)
        freeze(config, run_dir)
        start_log(run_dir, screen=False)
        setup = set_up(thaw(run_dir), run_dir, progress_bar=True)
        device = setup.trainer.strategy.root_device
        batches = made(setup, device)
        step = bare(setup, device, plain=plain)
        turns = Turns(batches, step, pairs + WARM_UP, steps, device, _giving_back if plain else contextlib.nullcontext)
        setup.trainer.fit(setup.module, train_dataloaders=turns, val_dataloaders=Some(batches[:1]))
    return Measured(turns.pairs[WARM_UP:], len(batches[0].images), turns.memory)


def made(setup: Setup, device: torch.device) -> list[Batch]:
    """Return training batches of a set-up on a device, as a training gets them."""
    setup.data.setup("fit")
    setup.data.trainer = setup.trainer
    loader = setup.data.train_dataloader()
    found: list[Batch] = []
    while len(found) < BATCHES:
        found += [setup.data.transfer_batch_to_device(batch, device, 0) for batch in loader]
    return found[:BATCHES]


def bare(setup: Setup, device: torch.device, *, plain: bool) -> Callable[[Batch], Tensor]:
    """Return the step of a plain PyTorch loop on a copy of a set-up's network, with an optimizer like its own.

    It clears the gradients, runs the network in the training's precision and memory layout, and compiled where that
    is, computes the heads' losses and their sum, goes backward, clips the norm, and steps optimizer and schedule.
    """
    config = setup.config
    network = copy.deepcopy(setup.module.network).to(device).train()
    if config["compile"]:
        network.compile()
    layout = torch.contiguous_format if plain or not config["channels_last"] else torch.channels_last
    network.to(memory_format=layout)
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = setup.module._optimizer(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    types = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    mixed = None if plain else types.get(config["trainer"]["precision"])
    scaler = torch.amp.GradScaler(device.type, enabled=mixed is torch.float16)
    heads: Any = network.heads

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=mixed, enabled=mixed is not None):
            outputs = network(batch.images.to(memory_format=layout), batch.targets)
        losses = [term for name, head in heads.items() for term in head.loss(outputs[name], batch.targets).values()]
        loss = torch.stack(losses).sum()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(parameters, config["trainer"]["gradient_clip_val"])
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        return loss.detach()

    return step


class Some:
    """Batches that are there already, as a loader."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)


class Turns:
    """A loader that hands out batches for a turn, then takes as many steps of the bare loop itself, and so on.

    `around` holds during a turn of the bare loop.
    A trainer that has got the last batch asks for no more: one turn of it follows that nobody measures.
    """

    def __init__(
        self,
        batches: Sequence[Batch],
        step: Callable[[Batch], Tensor],
        turns: int,
        steps: int,
        device: torch.device,
        around: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self.pairs: list[Pair] = []
        self.memory = (0, 0)
        self._batches = batches
        self._step = step
        self._turns = turns
        self._steps = steps
        self._device = device
        self._around = around

    def __len__(self) -> int:
        return (self._turns + 1) * self._steps

    def __iter__(self) -> Iterator[Batch]:
        chosen = [self._batches[index % len(self._batches)] for index in range(self._steps)]
        for _ in range(self._turns):
            self._peak()
            began = time.perf_counter()
            yield from chosen
            self._wait()
            ours, held = time.perf_counter() - began, self._peak()
            with self._around():
                began = time.perf_counter()
                for batch in chosen:
                    self._step(batch)
                self._wait()
                alone = time.perf_counter() - began
            self.pairs.append(Pair(1e3 * ours / self._steps, 1e3 * alone / self._steps))
            self.memory = (held, self._peak())
        yield from chosen

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _peak(self) -> int:
        """Return the most memory that was held since the last call."""
        if self._device.type != "cuda":
            return 0
        peak = torch.cuda.max_memory_allocated(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        return peak


@contextlib.contextmanager
def _giving_back() -> Iterator[None]:
    """Let glibc give back what is freed as it does in a process that has run for a while and was told nothing."""
    if not keep_freed({"accelerator": "cpu"}):  # this is not glibc, or the environment sets it
        yield
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(MMAP_THRESHOLD, 2**25)  # the most that it comes to by itself, and twice as much
    mallopt(TRIM_THRESHOLD, 2**26)
    try:
        yield
    finally:
        keep_freed({"accelerator": "cpu"})


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """Let the progress bar believe in a terminal, and throw away what it draws."""
    before = os.environ.get("FORCE_COLOR")
    os.environ["FORCE_COLOR"] = "1"
    try:
        with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
            yield
    finally:
        if before is None:
            del os.environ["FORCE_COLOR"]
        else:
            os.environ["FORCE_COLOR"] = before
