"""Say what is wrong with a data set before training: python -m visionkit.doctor data=voc data.root=birds."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from visionkit.config.command import Command, run, swift_imports


def main(config: DictConfig, choices: dict[str, Any]) -> None:
    """Examine the data, write what was found, and end with 1 when something is wrong."""
    with swift_imports():
        from visionkit.engine.doctor.showing import show

    if show(config, choices):
        raise SystemExit(1)


def constructors(config: DictConfig) -> list[str]:
    """Return what the classes of a config do not take."""
    with swift_imports():
        from visionkit.engine import signatures

    return list(signatures.problems(OmegaConf.to_container(config)))


def cli() -> None:
    """Run the command with the arguments of the process."""
    run(Command("doctor", main, constructors=constructors))


if __name__ == "__main__":
    cli()
