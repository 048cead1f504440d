"""Share work on a data set's pictures among all cores."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import cv2

from visionkit.data.records import Records

Splits = Mapping[str, Records]

_splits: Splits = {}
"""Of a worker process, set once when it starts: with fork nothing is copied."""


def spread(
    splits: Splits, work: Callable[[Splits, Any], Any], jobs: Sequence[Any], processes: int | None = None
) -> Iterator[Any]:
    """Yield what `work` makes of each job, in order; a single job, or one process, is done here.

    `work` is a function of a module, and what it returns is small. `processes` None takes one a core.
    """
    count = min(processes or cores(), len(jobs))
    if count <= 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(0)  # for pictures this small, threads that wait for each other cost more than they bring
        try:
            yield from (work(splits, job) for job in jobs)
        finally:
            cv2.setNumThreads(threads)
        return
    with ProcessPoolExecutor(count, initializer=_start, initargs=(dict(splits),)) as pool:
        try:
            yield from pool.map(_do, [work] * len(jobs), jobs)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(splits: Splits) -> None:
    global _splits
    _splits = splits
    cv2.setNumThreads(0)  # one thread a process; and OpenCV's pool does not survive a fork
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _do(work: Callable[[Splits, Any], Any], job: Any) -> Any:
    return work(_splits, job)
