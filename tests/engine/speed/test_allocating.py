"""What a step frees is there for the next one: seen by how often the system has to bring a page."""

from __future__ import annotations

import subprocess
import sys

import pytest

from visionkit.engine.speed.allocating import keep_freed

STEPS = """
import resource
import torch
from visionkit.engine.speed.allocating import keep_freed

def pages():
    for step in range(8):  # blocks of 3, 40 and 90 MB: glibc's own thresholds lie between them
        blocks = [torch.zeros(size * 250_000) for size in (3, 40, 90)]
        if step == 3:  # the heap has its shape
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(pages(), keep_freed({"accelerator": "cpu"}), pages())
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")


@on_linux
def test_memory_is_kept_from_step_to_step() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    before, kept, after = done.stdout.split()
    assert kept == "True"
    assert int(after) < int(before) / 20


@on_linux
@pytest.mark.parametrize(
    ("name", "value"), [("MALLOC_TRIM_THRESHOLD_", "131072"), ("GLIBC_TUNABLES", "glibc.malloc.top_pad=0")]
)
def test_who_sets_the_allocator_decides(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert not keep_freed({"accelerator": "cpu"})
    monkeypatch.delenv(name)
    assert keep_freed({"accelerator": "cpu"})


def test_on_a_gpu_nothing_is_set() -> None:
    assert not keep_freed({"accelerator": "cuda"})
