"""Spend time to save memory: let the backbone's stages be computed again in backward."""

from __future__ import annotations

from visionkit.errors import ConfigError
from visionkit.models.contracts import Backbone


def recompute_stages(backbone: Backbone) -> None:
    """Do what `activation_checkpointing=true` says. Raises ConfigError for a backbone that has no stages to cut at."""
    try:
        backbone.recompute_stages()
    except (NotImplementedError, ValueError) as error:
        why = str(error) or f"{type(backbone).__name__} does not say what its stages are"
        raise ConfigError(
            f"activation_checkpointing=true: {why}; give activation_checkpointing=false, and a smaller data.batch_size "
            "with trainer.accumulate_grad_batches where memory is short"
        ) from None
