"""End a training cleanly when it is told to stop."""

from __future__ import annotations

import logging
import signal
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from visionkit.engine.survival.consensus import Consensus
from visionkit.engine.survival.saving import Last
from visionkit.engine.survival.signals import CTRL_C, Signals, Stopped
from visionkit.engine.survival.writing import how_to_go_on

log = logging.getLogger("visionkit")


class Interrupt(Checkpoint):
    """Answers a signal behind the optimizer's step that it came in: `last.ckpt` is written first, on every rank.

    After SIGTERM and SIGUSR1 the process leaves then, as whoever sent them soon kills it, and so do several processes
    after Ctrl-C: their launcher kills them too. One process after Ctrl-C validates the model, and the run ends as if
    its time were up. A signal at the end of an epoch, or in its validation, is answered behind that: only there is all
    of the epoch in a checkpoint.

    It is a `Checkpoint` to Lightning, so that it comes behind all other callbacks, whose state is to be saved; among
    the checkpoints it has to stand behind `last`.
    """

    def __init__(self, last: Last, consensus: Consensus) -> None:
        self.signals = Signals()
        self.pressed = False
        """Whether Ctrl-C has ended the training early."""
        self._last = last
        self._consensus = consensus
        self._seen = 0  # the step of the optimizer that the batch before ended with

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Keep Lightning from answering SIGTERM too: it speaks to other ranks whatever they are doing."""
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        self.signals.alone = trainer.world_size == 1

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count the steps, behind what a resumed run has done before."""
        self._seen = trainer.global_step

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at signals from now on: before the first step there is nothing to save."""
        self.signals.patient = True

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop within an epoch, behind a step: gradients that are still being summed are in no checkpoint."""
        stepped, self._seen = trainer.global_step != self._seen, trainer.global_step
        told = self._consensus.largest(self.signals.told)
        if told and stepped and not trainer.is_last_batch:
            self._last.save(trainer)
            self._stop(trainer, told)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let no further epoch begin after Ctrl-C."""
        if self.signals.alone and self.signals.told == CTRL_C:
            self._stop(trainer, CTRL_C)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave between two epochs; `last` has saved already."""
        self._leave_between(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave behind the last epoch; `last` has saved already."""
        self._leave_between(trainer)
        self.signals.patient = False

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Look at signals no more."""
        self.signals.patient = False

    def _leave_between(self, trainer: L.Trainer) -> None:
        told = self._consensus.largest(self.signals.told)
        if told and not (told == CTRL_C and self.signals.alone):
            self._stop(trainer, told)

    def _stop(self, trainer: L.Trainer, told: int) -> None:
        """Stop training; `last.ckpt` is written."""
        if told == CTRL_C and self.signals.alone:
            self.pressed = trainer.should_stop = True
            return
        if trainer.is_global_zero:
            log.warning(
                "stopped by %s after step %d; %s",
                signal.Signals(told).name, trainer.global_step, how_to_go_on(self._last.path.parent.parent),
            )  # fmt: skip
        raise Stopped(told)
