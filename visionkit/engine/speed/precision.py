"""Choose the precision that a device computes fastest in, and refuse what it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from visionkit.errors import ConfigError


def device_of(trainer: Mapping[str, Any]) -> str:
    """Return the kind of device that a trainer node trains on here: cpu, cuda or mps."""
    asked = str(trainer.get("accelerator", "auto"))
    if asked in ("auto", "gpu"):
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return asked


def resolved(trainer: Mapping[str, Any]) -> str:
    """Return the precision of a trainer node in Lightning's words, `auto` decided for this machine.

    On a GPU that has bfloat16 `auto` is bf16-mixed: no scaling of the loss, as it reaches as far as float32. On an
    older one it is 16-mixed, elsewhere 32-true. Raises ConfigError for one that the device cannot.
    """
    asked, device = str(trainer.get("precision", "auto")), device_of(trainer)
    if asked == "auto":
        return ("bf16-mixed" if _has_bf16() else "16-mixed") if device == "cuda" else "32-true"
    chosen = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}.get(asked, asked)
    if chosen == "16-mixed" and device == "cpu":
        raise ConfigError(
            f"trainer.precision={asked} needs a GPU: a CPU has no fast float16; give 32, or bf16-mixed where it has "
            "bfloat16"
        )
    if chosen == "bf16-mixed" and device == "cuda" and not _has_bf16():
        raise ConfigError(
            f"trainer.precision={asked} needs a GPU with bfloat16 (NVIDIA's Ampere or newer), which "
            f"{torch.cuda.get_device_name()} is not; give 16-mixed or 32"
        )
    return chosen


def tune(trainer: Mapping[str, Any], *, one_size: bool) -> dict[str, Any]:
    """Set what a GPU computes products of float32 with, and return the trainer's arguments for it.

    TF32 rounds the factors of a product to ten bits, not the sum; convolutions do so by torch's own default.
    `one_size` says that images do not change theirs: cudnn then tries its ways of each convolution once and takes
    the fastest, which need not be the same in every run; `trainer.deterministic=true` forbids it.
    """
    if device_of(trainer) != "cuda":
        return {}
    torch.set_float32_matmul_precision("high")
    return {} if trainer.get("deterministic") else {"benchmark": one_size}


def _has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
