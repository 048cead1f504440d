"""Predict on images: python -m visionkit.predict checkpoint=best.ckpt source=photo.jpg."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from visionkit.config.command import Command, run


def main(config: DictConfig, choices: dict[str, Any]) -> None:
    """Write what a checkpoint's model sees in an image or a folder of images."""
    from visionkit.engine.prediction import predict

    predict(config)


def cli() -> None:
    """Run the command with the arguments of the process."""
    run(Command("predict", main))


if __name__ == "__main__":
    cli()
