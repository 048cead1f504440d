"""Say how much memory a process has used at most, and how much it may still take."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = {  # by version: the folder, the limit, what is used, and what of that can be given back at once
    1: ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
}


def peak() -> int:
    """Return the most memory that this process has held so far, bytes; loader processes have their own."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available(root: Path = Path("/")) -> int:
    """Return the bytes that can still be taken: of the machine, or less where a control group has a limit.

    `root` is where `proc` and `sys` lie. Without them it is the machine's memory, whatever others hold of it.
    """
    known = root / "proc/meminfo"
    if not known.is_file():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    lines = (line.partition(":") for line in known.read_text().splitlines())
    machine = {key: int(value.split()[0]) * 1024 for key, _, value in lines}
    return min([machine["MemAvailable"], *_left_by_groups(root)])


def _left_by_groups(root: Path) -> Iterator[int]:
    """Yield what each control group around this process leaves of its limit."""
    own = root / "proc/self/cgroup"
    for line in own.read_text().splitlines() if own.is_file() else ():
        _, controllers, path = line.split(":", 2)
        version = 1 if controllers == "memory" else 2
        if version == 2 and controllers:
            continue  # another controller of version 1
        folder, limit, used, idle = _CGROUPS[version]
        top = root / folder
        for group in [top / path.lstrip("/"), *(top / path.lstrip("/")).parents]:
            if not group.is_relative_to(top):
                break
            if (group / limit).is_file() and (most := (group / limit).read_text().strip()) != "max":
                statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                yield int(most) - int((group / used).read_text()) + int(statistics.get(idle, 0))
