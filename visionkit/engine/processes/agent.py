"""Train in several processes of this machine: python -m visionkit.engine.processes.agent <processes> <run_dir>.

It is torchrun, but for its end: the exit code is that of the process that failed first, and in place of torchrun's
report of them all stands what that one has to say to a person.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

SIGNALS = "SIGTERM,SIGINT,SIGUSR1,SIGHUP,SIGQUIT"
"""What is handed on to the processes; each ends by itself, with its checkpoint written."""

PATIENCE = 120
"""Seconds that processes may take to end before they are killed: as much as writing a large checkpoint may take."""


def launch(processes: int, run_dir: Path) -> int:
    """Start the processes of a frozen run, wait for their end and return its exit code."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(PATIENCE))
    where = ["--standalone", f"--nproc-per-node={processes}", f"--signals-to-handle={SIGNALS}"]
    try:
        given = [*where, "-m", "visionkit.engine.worker", str(run_dir)]
        arguments = torchrun.parse_args(given)  # type: ignore[no-untyped-call]
        torchrun.run(arguments)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        failures = sorted(error.failures.values(), key=lambda failure: failure.timestamp)
        messages: list[Any] = [failure.message for failure in failures]
        told = [place for place, message in enumerate(messages) if isinstance(message, dict)]  # left by `worker.run`
        if told:
            print(messages[told[0]]["message"], file=sys.stderr)
        failure = failures[told[0] if told else 0]
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as end:
        return 128 + end.sigval
    return 0


if __name__ == "__main__":
    sys.exit(launch(int(sys.argv[1]), Path(sys.argv[2])))
