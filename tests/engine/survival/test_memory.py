"""A training that does not fit into memory is told what to lower, with its present values."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from visionkit.engine.survival.memory import is_out_of_memory, out_of_memory

CONFIG: dict[str, Any] = {
    "data": {"batch_size": 32, "size": 224},
    "trainer": {"precision": "32-true", "accumulate_grad_batches": 2},
    "activation_checkpointing": False,
}


def test_torch_has_no_memory_on_a_cpu() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_who_says_so(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one


def test_what_to_lower() -> None:
    told = str(out_of_memory(torch.OutOfMemoryError("CUDA out of memory\nand more"), CONFIG, "go on"))
    lines = told.splitlines()
    assert lines[0] == "the training does not fit into memory (CUDA out of memory); lower one of"
    assert lines[1].startswith("  data.batch_size=16 trainer.accumulate_grad_batches=4 (now 32 and 2): half")
    assert lines[2].startswith("  trainer.precision=bf16-mixed (now 32-true)")
    assert lines[3].startswith("  activation_checkpointing=true (now false)")
    assert lines[4].startswith("  data.size (now 224)")
    assert lines[5] == "go on"


def test_what_is_low_already_is_not_advised() -> None:
    lowest = {
        "data": {"batch_size": 1, "size": [32, 64]},
        "trainer": {"precision": "bf16-mixed"},
        "activation_checkpointing": True,
    }
    told = str(out_of_memory(MemoryError(), lowest, "go on"))
    assert told.splitlines() == [
        "the training does not fit into memory (MemoryError); lower one of",
        "  data.size (now [32, 64]): memory follows its square",
        "go on",
    ]
