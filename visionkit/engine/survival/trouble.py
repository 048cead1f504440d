"""Turn what a machine does to a training into an error that says what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import Any

from torch.utils.data import dataloader

from visionkit.engine.survival.disk import FULL, DiskFullError, disk_full
from visionkit.engine.survival.memory import is_out_of_memory, out_of_memory
from visionkit.engine.survival.writing import how_to_go_on
from visionkit.errors import UserError

_WORKER = re.compile(r"DataLoader worker \(pid\S* [\d, ]+\) (exited unexpectedly|is killed by signal: [^.]*)")


class WorkerDiedError(UserError):
    """A process that loads data has died."""


@contextmanager
def explained(config: Mapping[str, Any], run_dir: Path) -> Iterator[None]:
    """Raise a UserError in place of what memory, disk and loader processes raise when there is not enough of them."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError, EOFError) as error:
        if told := _told(error, config, run_dir):
            if isinstance(told, WorkerDiedError) and hasattr(signal, "SIGCHLD"):
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch would raise again as each other worker ends
            raise told from error
        raise


def _told(error: BaseException, config: Mapping[str, Any], run_dir: Path) -> UserError | None:
    go_on = how_to_go_on(run_dir)
    if isinstance(error, OSError) and error.errno in FULL:
        if first := _earlier(error):  # a logger that closes fails too, at the checkpoint's error
            return first
        return disk_full(error, Path(error.filename or run_dir / "metrics.csv"), None, go_on)
    if said := _WORKER.search(str(error)):
        return _worker_died(said[1], config, go_on)
    if isinstance(error, ConnectionError | EOFError) and _loading(error):  # it died as a batch was taken from it
        return _worker_died("has ended", config, go_on)
    if is_out_of_memory(error):
        return out_of_memory(error, config, go_on)
    return None


def _earlier(error: BaseException) -> DiskFullError | None:
    """Return the error that one was raised in the handling of, if that told of the disk."""
    context = error.__context__
    return context if context is None or isinstance(context, DiskFullError) else _earlier(context)


def _loading(error: BaseException) -> bool:
    """Return whether an error was raised under torch's loader."""
    files = (frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__))
    return any(file == dataloader.__file__ for file in files)


def _worker_died(how: str, config: Mapping[str, Any], go_on: str) -> WorkerDiedError:
    workers = config["data"]["workers"]
    shown = "as many as there are cores" if workers is None else workers
    if "Bus error" in how:
        cause = "there is no room left in /dev/shm, through which batches come: give the container more (--shm-size)"
    else:
        cause = "most likely the system has killed it for want of memory (its log, dmesg, says so)"
    return WorkerDiedError(
        f"a process that loads data {how}: {cause}; lower data.workers (now {shown}; 0 loads in the training's own "
        f"process) or data.batch_size (now {config['data']['batch_size']}); {go_on}"
    )
