"""Hear the signals that ask a training to end."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

from visionkit.config.command import SIGNALLED

log = logging.getLogger("visionkit")

CTRL_C = int(signal.SIGINT)

HEARD = (signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []))
"""What a terminal, a system and a scheduler send."""


class Stopped(SystemExit):
    """Ends the process with the exit code of a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(SIGNALLED + number)


class Signals:
    """Notes a signal while somebody is going to look at it, and ends the process at once while nobody is.

    It hears inside its `with`. The same signal again changes nothing, as a launcher and a scheduler may both send it;
    but Ctrl-C again ends at once, and after Ctrl-C another signal, which leaves less time, takes its place.
    """

    def __init__(self) -> None:
        self.told = 0
        """The number of the signal that counts; 0 when there was none."""
        self.patient = False
        """Whether somebody is going to look."""
        self.alone = True
        """Whether this process is the only one that trains: then Ctrl-C leaves time for more than a checkpoint."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # Python allows it in no other
            self._before = {number: signal.signal(number, self._hear) for number in HEARD}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _hear(self, number: int, frame: FrameType | None) -> None:
        again = number == CTRL_C and self.told == CTRL_C and self.alone
        if again or not self.patient:
            raise Stopped(number)
        if self.told in (0, CTRL_C):
            self.told = number
        if number == CTRL_C and self.told == CTRL_C and self.alone:
            log.warning("stopping: the model is being saved and validated; press Ctrl-C again to leave at once")
