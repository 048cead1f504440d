"""Train for a while to see how it goes: what a training does in a step, and nothing that it leaves behind."""

from __future__ import annotations

from typing import Any

import lightning as L

from visionkit.config.command import INTERRUPTED
from visionkit.engine.recipe.clock import Clock
from visionkit.engine.setup import Setup, build_trainer

_OF_A_STEP = ("visionkit.engine.recipe.", "visionkit.engine.speed.")
"""Where the callbacks are that change what a step does."""


class Watch(L.Callback):
    """Says at which rate each step is taken, and looks at what comes of it.

    The schedule, warm-up and all, is left out. Parameter groups keep the ratio of their rates to `configured`, that of
    the config.
    """

    def __init__(self, configured: float) -> None:
        self._configured = configured
        self._shares: list[float] = []

    def rate(self, step: int) -> float:
        """Return the rate of the optimizer's step of a number, counted from 0."""
        raise NotImplementedError

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the schedule away, and note what it made of the rates before."""
        (optimizer,) = trainer.optimizers
        trainer.strategy.lr_scheduler_configs = []
        groups = optimizer.param_groups
        self._shares = [group.get("initial_lr", group["lr"]) / self._configured for group in groups]

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the rates of the step that this batch belongs to."""
        (optimizer,) = trainer.optimizers
        rate = self.rate(trainer.global_step)
        for group, share in zip(optimizer.param_groups, self._shares, strict=True):
            group["lr"] = rate * share

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave with the code of Ctrl-C; Lightning would say 1."""
        if isinstance(exception, KeyboardInterrupt):
            raise SystemExit(INTERRUPTED) from exception


def run(setup: Setup, watch: Watch) -> None:
    """Train until `watch` sets `trainer.should_stop`, without end otherwise.

    Of the callbacks those stay that change a step, such as freezing. Those that validate, save, log or stop a
    training do not, nor the config's own.
    """
    callbacks: list[L.Callback] = setup.trainer.callbacks  # type: ignore[attr-defined]  # set outside its class
    kept = [callback for callback in callbacks if type(callback).__module__.startswith(_OF_A_STEP)]
    trainer = build_trainer(
        setup.config["trainer"],
        callbacks=[*(callback for callback in kept if not isinstance(callback, Clock)), watch],
        max_epochs=-1,
        min_epochs=0,
        max_steps=-1,
        max_time=None,
        fast_dev_run=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(setup.module, setup.data)
