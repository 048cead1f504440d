"""Export a checkpoint: python -m visionkit.export checkpoint=best.ckpt format=onnx."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from visionkit.config.command import Command, run


def main(config: DictConfig, choices: dict[str, Any]) -> None:
    """Write a checkpoint's model as a file that runs without visionkit, and prove that it gives the same."""
    from visionkit.engine.exporter.exporting import export

    export(config)


def cli() -> None:
    """Run the command with the arguments of the process."""
    run(Command("export", main, open_nodes=["data"]))


if __name__ == "__main__":
    cli()
