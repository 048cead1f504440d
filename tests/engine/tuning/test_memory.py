"""How much memory is left, of machines that are written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from visionkit.engine.tuning import memory

MB = 2**20


def machine(root: Path, groups: str, **files: str) -> Path:
    """Write a machine with 1000 MB to take; `files` are those of control groups, a slash written as two underscores."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal:  2048000 kB\nMemAvailable:  1024000 kB\nHugePages_Total:       0\n")
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("-", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_groups_it_is_the_machine(tmp_path: Path) -> None:
    assert memory.available(machine(tmp_path, "0::/\n")) == 1000 * MB


def test_a_limit_of_the_second_version(tmp_path: Path) -> None:
    # The group above sets the limit; of what it uses, 50 MB of files can be given back.
    files = {
        "a__b__memory-max": "max\n",
        "a__memory-max": f"{500 * MB}\n",
        "a__memory-current": f"{200 * MB}\n",
        "a__memory-stat": f"anon 1\ninactive_file {50 * MB}\n",
    }
    assert memory.available(machine(tmp_path, "0::/a/b\n", **files)) == 350 * MB


def test_a_limit_of_the_first_version(tmp_path: Path) -> None:
    # In a container the path is that of the host; only the folder at the top is there.
    files = {
        "memory__memory-limit_in_bytes": f"{300 * MB}\n",
        "memory__memory-usage_in_bytes": f"{100 * MB}\n",
        "memory__memory-stat": "total_inactive_file 0\n",
    }
    groups = "4:memory:/docker/1f\n3:cpuset:/\n0::/\n"
    assert memory.available(machine(tmp_path, groups, **files)) == 200 * MB


def test_a_limit_above_the_machine(tmp_path: Path) -> None:
    files = {
        "memory-max": f"{10**13}\n",
        "memory-current": "0\n",
        "memory-stat": "inactive_file 0\n",
    }
    assert memory.available(machine(tmp_path, "0::/\n", **files)) == 1000 * MB


def test_a_machine_without_proc(tmp_path: Path) -> None:
    assert memory.available(tmp_path) > 100 * MB


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux has it")
def test_the_peak_is_that_of_the_process() -> None:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert memory.peak() == pytest.approx(int(status["VmHWM"].split()[0]) * 1024, rel=0.1)
