"""Callbacks that end a training at a step, for what survives it."""

from __future__ import annotations

import os
import signal
from typing import Any

import lightning as L

WHERE = "VISIONKIT_TEST_DIES_AT"
"""The environment's variable with the batch, counted from 0 over all epochs, behind which to die; nowhere without."""


class Dead(BaseException):
    """What `kill -9` is to a process, to a test inside it: nothing may catch it and tidy up."""


class Dies(L.Callback):
    """Ends the training behind a batch, before a checkpoint of it is written: by SIGKILL, or by `Dead`."""

    def __init__(self, how: str = "raise") -> None:
        self._how = how

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Die."""
        if str(trainer.fit_loop.total_batch_idx) == os.environ.get(WHERE):
            if self._how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise Dead
