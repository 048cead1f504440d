"""The process that waits for a training hands signals on to it, and returns its code as a shell would."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from visionkit.engine import launch
from visionkit.engine.survival.signals import HEARD


class Told(subprocess.Popen[bytes]):
    """A command in place of the training; the waiting process gets a signal."""

    command = ("sleep", "60")
    number = signal.SIGTERM

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(self.command)

    def wait(self, timeout: float | None = None) -> int:
        """Get the signal and wait."""
        signal.raise_signal(self.number)
        return super().wait(timeout)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_signals_are_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    before = [signal.getsignal(each) for each in HEARD]
    monkeypatch.setattr(Told, "number", number)
    monkeypatch.setattr(subprocess, "Popen", Told)
    assert launch.run_worker(tmp_path, 1) == code
    assert [signal.getsignal(each) for each in HEARD] == before


def test_ctrl_c_reaches_the_training_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Told, "number", signal.SIGINT)
    monkeypatch.setattr(Told, "command", ("sh", "-c", "sleep 0.3; exit 130"))
    monkeypatch.setattr(subprocess, "Popen", Told)
    assert launch.run_worker(tmp_path, 1) == 130
