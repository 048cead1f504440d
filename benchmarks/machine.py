"""Say where, when and from what a table was made."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from visionkit.config.frozen import commit
from visionkit.engine.checkpoint import versions


def describe(commits: Iterable[str]) -> str:
    """Return the lines that stand above every table: command, `commits` of the runs, date, machine and versions."""
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    lines = {
        "command": f"`{command_line()}`",
        "commit": ", ".join(commits) or "no run",
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{cpu_model()}, {cores()} cores, {torch.get_num_threads()} threads; {gpu()}",
        "versions": f"Python {platform.python_version()}, {packages}",
    }
    return "\n".join(f"- {name}: {value}" for name, value in lines.items())


def checkout() -> str:
    """Return the lines that stand above a table that was measured in this checkout: commit, machine, versions."""
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    return f"- commit: {commit()}\n- machine: {cpu_model()}, {cores()} cores\n- versions: {packages}"


def command_line() -> str:
    """Return the command that made the table."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    return " ".join(["python -m", module.name if module else "benchmarks.verify", *sys.argv[1:]])


def cpu_model() -> str:
    """Return the processor's name, or its architecture where the system does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu() -> str:
    """Return the name of the first GPU, or that there is none."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
