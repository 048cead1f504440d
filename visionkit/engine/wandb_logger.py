"""Log to Weights & Biases without ever asking: online when an API key is found, else offline."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning.pytorch import loggers

from visionkit.errors import ConfigError

log = logging.getLogger("visionkit")

MODES = ("auto", "online", "offline", "disabled")


class WandbLogger(loggers.WandbLogger):
    """Lightning's logger with the mode decided up front.

    `mode` is `auto` (online when an API key is found in the environment, the settings or netrc, else offline),
    `online`, `offline` or `disabled`. Raises ConfigError for `online` without a key, instead of prompting.
    """

    def __init__(self, project: str = "visionkit", mode: str = "auto", *, save_dir: str | Path) -> None:
        chosen = choose_mode(mode)
        super().__init__(project=project, save_dir=str(save_dir), name=Path(save_dir).name, mode=chosen)
        self._chosen = chosen
        self._said = False

    def finalize(self, status: str) -> None:
        """Close the run, and say how an offline one is sent later."""
        run: Any = self._experiment
        super().finalize(status)
        if self._chosen == "offline" and run is not None and not self._said:
            self._said = True  # fit, validate and test each finalize
            log.info("W&B ran offline; to send the run: wandb sync %s", Path(run.dir).parent)


def choose_mode(mode: str) -> Literal["online", "offline", "disabled"]:
    """Return the mode to run in."""
    if mode not in MODES:
        raise ConfigError(f"logger.wandb.mode={mode}; choose {', '.join(MODES)}")
    if mode == "disabled":
        return "disabled"
    if mode == "offline":
        return "offline"
    if has_key():
        return "online"
    if mode == "online":
        raise ConfigError("logger.wandb.mode=online needs an API key; run `wandb login`, or choose mode=offline")
    return "offline"


def has_key() -> bool:
    """Return whether W&B finds an API key in the environment, its settings or netrc; never prompts."""
    return bool(wandb.login(prompt=False, verify=False))
