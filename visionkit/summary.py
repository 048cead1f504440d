"""Show a network layer by layer: python -m visionkit.summary backbone=resnet50."""

from __future__ import annotations

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from visionkit.config.command import Command, run, swift_imports


def main(config: DictConfig, choices: dict[str, Any]) -> None:
    """Run the network of a config or of a checkpoint without memory for it, and show what was seen."""
    with swift_imports():
        from visionkit.engine.summary.showing import show

        show(config, choices, list(HydraConfig.get().overrides.task))


def constructors(config: DictConfig) -> list[str]:
    """Return what the classes of a config do not take."""
    with swift_imports():
        from visionkit.engine import signatures

    return list(signatures.problems(OmegaConf.to_container(config)))


def cli() -> None:
    """Run the command with the arguments of the process."""
    run(Command("summary", main, constructors=constructors))


if __name__ == "__main__":
    cli()
