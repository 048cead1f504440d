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
    rate = (config.get("optimizer") or {}).get("lr")
    if tune == "lr" and not (isinstance(rate, int | float) and rate > 0):
        yield f"tune=lr needs a rate to compare with, but optimizer.lr={rate}; give optimizer.lr=0.001 or the like"
