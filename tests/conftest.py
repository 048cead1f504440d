"""What several test files share: the real data's folder, and commands run as a person runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what tests cache out of the user's folder."""
    monkeypatch.setenv("VISIONKIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets, or a skip."""
    folder = os.environ.get("VISIONKIT_TEST_DATA")
    if not folder:
        pytest.skip("VISIONKIT_TEST_DATA does not name a folder of real data")
    return Path(folder)


@pytest.fixture
def command(tmp_path: Path) -> Run:
    """Run `python -m visionkit.<name>` in an empty folder with an empty home and no W&B account."""

    def run(name: str, *arguments: str, cwd: Path = tmp_path, timeout: float = 300, **env: str):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
        environment |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none"), "COLUMNS": "200", **env}
        return subprocess.run(
            [sys.executable, "-m", f"visionkit.{name}", *arguments],
            cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute on one thread: two runs of a process give the same, and small maps cost less than more threads do."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
