"""Log to Weights & Biases without ever asking: online when an API key is found, else offline."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import wandb
from lightning.pytorch import loggers

from visionkit.errors import ConfigError

log = logging.getLogger("visionkit")

MODES = ("auto", "online", "offline", "disabled")


class WandbLogger(loggers.WandbLogger):
    """Lightning's logger with the mode decided up front.

    `mode` is `auto` (online when an API key is found in the environment, the settings or netrc, else offline),
    `online`, `offline` or `disabled`. Raises ConfigError for `online` without a key, instead of prompting. The run's id
    is kept in `save_dir`, so that a resumed training goes on with the same run.
    """

    def __init__(self, project: str = "visionkit", mode: str = "auto", *, save_dir: str | Path) -> None:
        chosen = choose_mode(mode)
        folder = Path(save_dir)
        super().__init__(project=project, save_dir=str(folder), name=folder.name, mode=chosen, id=_run_id(folder))
        self._chosen = chosen
        self._said = False

    def finalize(self, status: str) -> None:
        """Close the run, and say how an offline one is sent later."""
        run: Any = self._experiment
        super().finalize(status)
        if self._chosen == "offline" and run is not None and not self._said:
            self._said = True  # fit, validate and test each finalize
            log.info("W&B ran offline; to send the run: wandb sync %s", Path(run.dir).parent)


def _run_id(folder: Path) -> str | None:
    """Return the id of a folder's W&B run, a new one where none is kept; None where another process has the logger."""
    if os.environ.get("RANK", "0") != "0":
        return None
    path = folder / "wandb_id"
    if not path.is_file():
        path.write_text(uuid4().hex[:8], encoding="utf-8")
    return path.read_text(encoding="utf-8")


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
