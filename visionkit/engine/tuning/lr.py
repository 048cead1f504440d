"""Find a learning rate: train with a rate that rises from step to step, and see where the loss falls and turns up."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from statistics import mean
from typing import Any

import lightning as L

from visionkit.config.folders import short
from visionkit.engine.hints import again
from visionkit.engine.setup import Setup
from visionkit.engine.tuning import trial
from visionkit.engine.tuning.drawing import range_test
from visionkit.engine.tuning.rule import STEPS, Curve, diverges, rates, suggest

log = logging.getLogger("visionkit")


class RangeTest(trial.Watch):
    """Raises the rate from step to step until the loss diverges or the rates are used up; keeps the losses.

    A step's loss is the mean over the batches that it accumulates.
    """

    def __init__(self, configured: float) -> None:
        super().__init__(configured)
        self.rates = rates()
        self.losses: list[float] = []
        """Of each step, before its update: one more than rates were tried."""
        self.diverged: float | None = None
        self._window: list[float] = []

    def rate(self, step: int) -> float:
        """Return the rate of a step."""
        return self.rates[min(step, len(self.rates) - 1)]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss; stop when there is no more to see."""
        self._window.append(float(outputs["loss"]) * trainer.accumulate_grad_batches)
        if trainer.global_step == len(self.losses):
            return  # the step has more batches to come
        self.losses.append(mean(self._window))
        self._window.clear()
        tried = len(self.losses) - 1
        if diverges(self.losses):
            self.diverged = self.rates[tried - 1] if tried else self.rates[0]
            trainer.should_stop = True
        elif tried == len(self.rates):
            trainer.should_stop = True
        if tried and (trainer.should_stop or (tried - 1) % STEPS == 0):
            log.info("rate %-9.2g loss %.4g", self.rates[tried - 1], self.losses[-1])

    def curve(self) -> Curve:
        """Return what was seen, without the loss that was no number."""
        losses = tuple(loss for loss in self.losses[1:] if math.isfinite(loss))
        return Curve(self.rates[: len(losses)], losses, self.losses[0], self.diverged)


def tune(setup: Setup, run_dir: Path) -> None:
    """Run the test; write `lr.json` and `lr.svg`, and say what to type."""
    config = setup.config
    configured = float(config["optimizer"]["lr"])
    test = RangeTest(configured)
    trial.run(setup, test)
    curve = test.curve()
    found = suggest(curve)
    rate = None if found.rate is None else float(f"{found.rate:.2g}")
    given = config["provenance"]["command"]
    command = None if rate is None else again(given, {"optimizer.lr": f"{rate:g}"})
    batch = config["data"]["batch_size"]
    result = {
        "suggestion": rate,
        "rule": "a third of the rate at which the smoothed loss is lowest",
        "configured": configured,
        "lowest": {"rate": curve.rates[found.lowest], "loss": found.smoothed[found.lowest]} if curve.rates else None,
        "diverged": curve.diverged,
        "optimizer": config["optimizer"]["_target_"],
        "batch_size": batch,
        "accumulate_grad_batches": config["trainer"].get("accumulate_grad_batches", 1),
        "seed": config["seed"],
        "start": curve.start if math.isfinite(curve.start) else None,
        "rates": curve.rates,
        "losses": curve.losses,
        "smoothed": found.smoothed,
        "command": command,
    }
    (run_dir / "lr.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if curve.rates:
        title = f"{config['name']}, {config['optimizer']['_target_'].rpartition('.')[2]}, batches of {batch}"
        (run_dir / "lr.svg").write_text(range_test(curve, found, rate, configured, title), encoding="utf-8")
        log.info("\npicture   %s", short(run_dir / "lr.svg"))
    log.info("figures   %s", short(run_dir / "lr.json"))
    if rate is None:
        log.info(
            "no rate   the loss fell at none of the rates by more than it differs from batch to batch; look at the "
            "data (visionkit.doctor), or take more images a step (data.batch_size, trainer.accumulate_grad_batches)"
        )
        return
    end = f"it diverged at {curve.diverged:.2g}" if curve.diverged else "it did not diverge"
    log.info(
        "rate      %g, a third of %.2g, where the smoothed loss is lowest; %s (configured: %g)",
        rate, curve.rates[found.lowest], end, configured,
    )  # fmt: skip
    log.info("          It holds for batches of %d: with another data.batch_size, tune it again.", batch)
    log.info("\nnext:\n  %s", command)
