"""Say what to lower when a training does not fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from visionkit.errors import UserError

_SAID = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""By the CUDA driver and other backends, by torch's allocator on Linux and on Windows, by cuDNN and cuBLAS."""


class OutOfMemoryError(UserError):
    """A training does not fit into memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)


def out_of_memory(error: BaseException, config: Mapping[str, Any], go_on: str) -> OutOfMemoryError:
    """Return the error that tells what to lower, with the present values, the most useful first."""
    data, trainer = config["data"], config["trainer"]
    batch, summed = data["batch_size"], trainer.get("accumulate_grad_batches", 1)
    advice = []
    if batch > 1:
        advice.append(
            f"data.batch_size={batch // 2} trainer.accumulate_grad_batches={summed * 2} (now {batch} and {summed}): "
            "half as many images at a time, and the optimizer's step counts as many as before"
        )
    if str(trainer.get("precision")).startswith("32"):
        advice.append(f"trainer.precision=bf16-mixed (now {trainer['precision']}): activations take half")
    if config.get("activation_checkpointing") is False:
        advice.append("activation_checkpointing=true (now false): activations are computed again instead of kept")
    advice.append(f"data.size (now {data['size']}): memory follows its square")
    asked = str(error).splitlines()[0] if str(error) else type(error).__name__
    lines = "\n".join(f"  {line}" for line in advice)
    return OutOfMemoryError(f"the training does not fit into memory ({asked}); lower one of\n{lines}\n{go_on}")
