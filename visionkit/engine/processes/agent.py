"""Train in several processes of this machine: python -m visionkit.engine.processes.agent <processes> <run_dir>.

It is torchrun, but for its end: in place of torchrun's report of all processes stands what one of them has to say to a
person, with the exit code for that; where none has, the exit code is that of the process that failed first.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from visionkit.config.command import USER_ERROR

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
        told = [message["message"] for message in messages if isinstance(message, dict)]  # left by `worker.run`
        if told:  # who has it may have been ended by now: the others do not wait for what it keeps
            print(told[0], file=sys.stderr)
            return USER_ERROR
        code = failures[0].exitcode
        return code if code > 0 else 128 - code
    except SignalException as end:
        return 128 + end.sigval
    return 0


if __name__ == "__main__":
    sys.exit(launch(int(sys.argv[1]), Path(sys.argv[2])))
