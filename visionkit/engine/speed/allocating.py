"""Let a training on the CPU keep the memory that it frees, for its next step."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping
from typing import Any

from visionkit.engine.speed.precision import device_of

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""

_LARGEST_KEPT = 2**30
"""Bytes of a block that is still taken from, and given back to, the memory that is kept."""


def keep_freed(trainer: Mapping[str, Any]) -> bool:
    """Tell glibc to give nothing back to the system, where a trainer node trains on the CPU; return whether it was.

    A step frees what it holds of the forward pass, and the next one takes as much again. As it comes, glibc hands much
    of that back and gets it anew, and the system clears every page of it: some hundredths of a step's time. The price
    is that the process never shrinks; it grows little beyond the most it held before (`benchmarks/overhead.py` has
    the time). Who sets glibc's allocator in the environment decides; another libc and other systems stay as they are.
    """
    own = any(f"MALLOC_{name}_" in os.environ for name in ("TRIM_THRESHOLD", "MMAP_THRESHOLD", "TOP_PAD", "MMAP_MAX"))
    own = own or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if own or device_of(trainer) != "cpu" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(MMAP_THRESHOLD, _LARGEST_KEPT)) and bool(mallopt(TRIM_THRESHOLD, -1))
