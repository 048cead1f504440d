"""Tune one run from its frozen file, where a training would train it."""

from __future__ import annotations

import logging
from pathlib import Path

from visionkit.config.frozen import thaw
from visionkit.engine.quiet import start_log
from visionkit.engine.setup import set_up
from visionkit.engine.tuning import batch, lr

log = logging.getLogger("visionkit")


def tune(run_dir: Path) -> None:
    """Do what the frozen `tune` says; leave a JSON file and a picture beside the config, and no checkpoint.

    Set-up is that of a training, from the same seed, so what is measured is the network that would be trained.

    Lightning's Tuner is not used. Its rate finder gives every parameter group the same rate, which undoes a decay by
    layers; trains without callbacks, so that what is frozen moves; sets each loss beside the rate of the step after
    it; looks for the steepest place over the rate, not over its logarithm, which prefers the smallest; and smooths
    over fifty steps of a hundred. Its batch finder halts only where memory ends, which on a CPU is when the system
    kills the process. Both write a checkpoint into the run's folder to restore a training that is not begun here.
    """
    start_log(run_dir)
    frozen = thaw(run_dir)
    what = frozen.tune
    setup = set_up(frozen, run_dir, progress_bar=False)
    log.info("tune=%s of %s in %s", what, setup.config["name"], run_dir)
    {"lr": lr.tune, "batch": batch.tune}[what](setup, run_dir)
