"""Train a network: python -m visionkit.train task=segmentation."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from visionkit.config.command import Command, Trial, run, swift_imports


def main(config: DictConfig, choices: dict[str, Any]) -> float | None:
    """Freeze the composed config and train from it."""
    with swift_imports():
        import visionkit.engine.fit  # noqa: F401  with all that a training needs; launching would import it bit by bit
        from visionkit.engine.launch import launch

    return launch(config, choices)


def constructors(config: DictConfig) -> list[str]:
    """Return what the classes of a config do not take."""
    with swift_imports():
        from visionkit.engine import preflight

    return preflight.constructors(config)


def sweep(trials: list[Trial]) -> None:
    """Train each trial of `-m` in turn."""
    from visionkit.engine.sweep import sweep

    sweep(trials)


def cli() -> None:
    """Run the command with the arguments of the process."""
    run(Command("train", main, constructors=constructors, sweep=sweep))


if __name__ == "__main__":
    cli()
