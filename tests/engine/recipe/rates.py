"""Train, and note the learning rates."""

from __future__ import annotations

from pathlib import Path

import lightning as L

from visionkit.config.frozen import thaw
from visionkit.engine.setup import set_up


class Rates(L.Callback):
    """Notes the rate of each batch's step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates_of(run_dir: Path, checkpoint: Path | None = None) -> list[float]:
    """Train a frozen run, from a checkpoint on; return the rate at each batch."""
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    setup.trainer.callbacks.append(rates := Rates())
    setup.trainer.fit(setup.module, setup.data, ckpt_path=checkpoint, weights_only=True)
    return rates.seen
