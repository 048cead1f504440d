"""Train a network: python -m visionkit.train task=segmentation."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from visionkit.config.command import run


def main(config: DictConfig, choices: dict[str, Any]) -> float | None:
    """Freeze the composed config and train from it."""
    from visionkit.engine.launch import launch

    return launch(config, choices)


def cli() -> None:
    """Run the command with the arguments of the process."""
    run("train", main)


if __name__ == "__main__":
    cli()
