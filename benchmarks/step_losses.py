"""Write down the loss of every training step; chosen by `+callbacks.losses._target_=`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L

FILE = "step_losses.txt"


class StepLosses(L.Callback):
    """Writes a line a step into `step_losses.txt` of the run folder."""

    def __init__(self) -> None:
        self._losses: list[float] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Remember the loss."""
        self._losses.append(float(outputs["loss"]))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file."""
        lines = "".join(f"{loss!r}\n" for loss in self._losses)
        (Path(trainer.default_root_dir) / FILE).write_text(lines, encoding="utf-8")


def read(run_dir: Path) -> list[float]:
    """Return the losses of a run's steps."""
    return [float(line) for line in (run_dir / FILE).read_text(encoding="utf-8").splitlines()]
