"""Find a batch size: on a GPU the largest that fits, on a CPU the smallest that is about as quick as any."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.memory import garbage_collection_cuda, is_oom_error

from visionkit.config.folders import short
from visionkit.engine.hints import again
from visionkit.engine.setup import Setup
from visionkit.engine.tuning import memory, sizes, trial
from visionkit.engine.tuning.drawing import batch_sizes
from visionkit.errors import UserError

log = logging.getLogger("visionkit")

LEAST, MOST, SECONDS = 3, 100, 1.5
"""Batches that are timed: at least and at most, and for how long in between."""

SHARE = 0.8
"""Of the memory that a CPU has left, what batches may take."""


class Stopwatch(trial.Watch):
    """Times batches, loading included, from the second step on: the first makes the optimizer's state.

    The rate is 0, so every size sees the same weights and none can diverge; a step costs the same.
    """

    def __init__(self) -> None:
        super().__init__(1.0)
        self._began = 0.0
        self._images = self._batches = 0
        self._seconds = 0.0

    def rate(self, step: int) -> float:
        """Return 0."""
        return 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch; stop when it has been long enough."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        now = time.perf_counter()
        if not self._began:
            self._began = now if trainer.global_step else 0.0
            return
        self._images += len(batch.images)
        self._batches += 1
        self._seconds = now - self._began
        trainer.should_stop = self._batches >= LEAST and (self._seconds >= SECONDS or self._batches >= MOST)

    @property
    def images_per_second(self) -> float:
        """The speed."""
        return self._images / self._seconds


def tune(setup: Setup, run_dir: Path) -> None:
    """Try sizes; write `batch.json` and `batch.svg`, and say what to type.

    Raises UserError when not even the first fits.
    """
    augment, data = setup.data.augment, setup.data
    if augment is not None and augment.multi_scale is not None:
        augment.multi_scale = (augment.multi_scale[1],) * 2  # the largest is what has to fit
    configured, most = data.batch_size, len(data.records["train"])
    device = setup.trainer.strategy.root_device
    on_gpu = device.type == "cuda"
    floor = 0 if on_gpu else memory.peak()
    limit = torch.cuda.get_device_properties(device).total_memory if on_gpu else floor + int(SHARE * memory.available())

    def measure(size: int) -> sizes.Row | None:
        row = _measure(setup, size, device)
        if row is None:
            log.info("batch %6d  does not fit", size)
        else:
            log.info("batch %6d  %8.1f images/s  %6.2f GiB", size, row.images_per_second, row.peak_memory / 2**30)
        return row

    rows, failed = sizes.by_memory(measure, most) if on_gpu else sizes.by_speed(measure, most, floor, limit)
    if not rows:
        raise UserError(
            f"not even {failed} images fit in memory; lower data.size, choose a smaller backbone, or train at half the "
            "precision: trainer.precision=bf16-mixed"
        )
    found = sizes.largest(rows, failed) if on_gpu else sizes.quickest(rows)
    rule = _RULES[on_gpu]
    command = again(setup.config["provenance"]["command"], {"data.batch_size": str(found)})
    result = {
        "suggestion": found,
        "rule": rule,
        "configured": configured,
        "device": device.type,
        "limit": limit,
        "does_not_fit": failed,
        "rows": [row._asdict() for row in rows],
        "command": command,
    }
    (run_dir / "batch.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    drawn = batch_sizes(rows, found, configured, limit, failed, f"{setup.config['name']}, {'GPU' if on_gpu else 'CPU'}")
    (run_dir / "batch.svg").write_text(drawn, encoding="utf-8")
    log.info("\npicture   %s\nfigures   %s", short(run_dir / "batch.svg"), short(run_dir / "batch.json"))
    log.info("batch     %d, %s (configured: %d)", found, rule, configured)
    log.info("\nnext:\n  %s", command)
    if found != configured:
        log.info("  # The learning rate belongs to the batch: tune it for this one before, with tune=lr behind this.")


_RULES = {
    True: "the largest that fits, less a margin of a tenth",
    False: "the smallest that trains at 95 % of the best speed",
}
"""By whether it is on a GPU."""


def _measure(setup: Setup, size: int, device: torch.device) -> sizes.Row | None:
    """Train a little with a batch size; return what it came to, None when memory ran out."""
    setup.data.batch_size = size
    watch = Stopwatch()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        trial.run(setup, watch)
    except RuntimeError as error:
        if not is_oom_error(error):
            raise
        fits = False
    else:
        fits = True
    used = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else memory.peak()
    if device.type == "cuda" or not fits:
        garbage_collection_cuda()  # outside of the handler, whose traceback holds what the batch had taken
    return sizes.Row(size, round(watch.images_per_second, 2), used) if fits else None
