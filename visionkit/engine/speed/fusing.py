"""Let an optimizer change all weights in one kernel, where it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.utils import get_object
from torch.optim import Adam, AdamW, Optimizer

from visionkit.engine.speed.precision import device_of

_RIVALS = ("fused", "foreach", "differentiable")
"""Arguments of torch's optimizers that say how a step is computed: who gives one decides."""


def fused(optimizer: Mapping[str, Any], trainer: Mapping[str, Any]) -> dict[str, bool]:
    """Return `fused` for an optimizer's node where its class has it and the device of the trainer's node too.

    It is asked of Adam and AdamW, which take less than half of the time by it on a CPU. SGD gains nothing, and torch's
    fused step of it fails when some weights begin to learn later than others, as those that come free do. On a CPU the
    kernel reads weight, gradient and moments as they lie in memory: who sets one by hand has to lay it out as the
    weight, as autograd does. Weights that are shared out (FSDP) have no fused step.
    """
    given = any(optimizer.get(name) is not None for name in _RIVALS)
    takes = get_object(optimizer["_target_"]) in (Adam, AdamW) and trainer.get("strategy") != "fsdp"
    return {"fused": True} if takes and not given and device_of(trainer) in ("cpu", "cuda") else {}


def clippable(optimizer: Optimizer) -> Optimizer:
    """Return an optimizer whose gradients are unscaled before they are clipped.

    A fused one would unscale those of 16-mixed in its own step, behind the clipping, for which Lightning refuses both
    together, in bf16-mixed too, where nothing is scaled. Without this mark torch's scaler unscales them first.
    """
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return optimizer
