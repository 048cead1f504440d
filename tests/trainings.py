"""Compose and freeze small trainings as the train command does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from visionkit.config.folders import conf_dir
from visionkit.config.frozen import freeze

SMALL = (
    "data.num_scenes=40",
    "data.size=32",
    "data.batch_size=8",
    "data.digits_per_scene=[1,2]",
    "epochs=1",
    "trainer=cpu",
)

OWN_BACKBONE = (
    "backbone._target_=tests.plain_backbone.PlainBackbone",
    *(f"~backbone.{key}" for key in OmegaConf.load(conf_dir() / "backbone/convnet.yaml") if key != "_target_"),
)
"""A class of one's own in place of the default backbone, without its settings."""


def composed(*overrides: str, small: bool = True) -> DictConfig:
    """Compose the train config, named after its task."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("train", overrides=[*(SMALL if small else ()), *overrides], return_hydra_config=True)
    config.name = config.hydra.runtime.choices.task
    del config.hydra
    return config


def frozen(run_dir: Path, *overrides: str, small: bool = True) -> Path:
    """Freeze a config into a new run folder; return the folder."""
    run_dir.mkdir(parents=True)
    freeze(composed(*overrides, small=small), run_dir)
    return run_dir


def train_in_two(run_dir: Path) -> None:
    """Train a frozen run in two processes, as the train command starts them."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, "-m", "visionkit.engine.worker", str(run_dir)],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
