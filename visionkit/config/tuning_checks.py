"""Find what keeps a run from being tuned, without torch."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig


def tuning_problems(config: DictConfig) -> Iterator[str]:
    """Yield what keeps `tune` from being done, or makes it mean nothing."""
    tune, trainer = config.get("tune"), config.get("trainer") or {}
    if tune is None:
        return
    several = [f"trainer.{key}={trainer[key]}" for key in ("devices", "num_nodes") if trainer.get(key, 1) != 1]
    if several:
        yield (
            f"tune={tune} runs in one process, but {' and '.join(several)}; add "
            f"{' '.join(key.partition('=')[0] + '=1' for key in several)}: what it finds for a data.batch_size holds "
            "for several too, as that is the batch of all processes together"
        )
    if config.get("resume") is not None:
        yield f"tune={tune} begins as a training does, and resume={config.resume} goes on with one; give one of them"
    if tune == "lr" and not isinstance((config.get("optimizer") or {}).get("lr"), int | float):
        yield "tune=lr needs a rate of the optimizer to compare with; give optimizer.lr=0.001 or the like"
