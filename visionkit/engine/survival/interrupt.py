"""End a training cleanly when it is told to stop."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

import lightning as L

log = logging.getLogger("visionkit")


class Interrupt(L.Callback):
    """Turns the first Ctrl-C into a clean end: the step is finished, the model validated and saved.

    A second Ctrl-C ends at once.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._before: Any = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen for the signal."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._stop)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop on every rank when one was told to."""
        if trainer.strategy.reduce_boolean_decision(self.pressed, all=False):
            self.pressed = True
            trainer.should_stop = True

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the signal back."""
        self._release()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Give the signal back."""
        self._release()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        self._release()
        log.warning("stopping: the model is being validated and saved; press Ctrl-C again to leave at once")

    def _release(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
