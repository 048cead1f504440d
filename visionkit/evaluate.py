"""Evaluate a checkpoint: python -m visionkit.evaluate checkpoint=best.ckpt."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from visionkit.config.command import Command, run


def main(config: DictConfig, choices: dict[str, Any]) -> float | None:
    """Measure a checkpoint's model on a split."""
    from visionkit.engine.evaluation import evaluate

    return evaluate(config, new_data=choices.get("data") not in (None, "null"))


def cli() -> None:
    """Run the command with the arguments of the process."""
    run(Command("evaluate", main, open_nodes=["data"]))


if __name__ == "__main__":
    cli()
