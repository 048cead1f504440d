"""Run one process of a training from its frozen file: python -m visionkit.engine.worker <run_dir>."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path


def work(run_dir: Path) -> float | None:
    """Train a run and return the monitor's value, or tune it and return None.

    A bug of ours ends the process with its traceback in the log too.
    """
    from visionkit.config.command import FAILURE
    from visionkit.config.frozen import thaw
    from visionkit.engine.fit import fit
    from visionkit.engine.survival.occupied import occupied
    from visionkit.engine.tuning.tune import tune
    from visionkit.errors import UserError

    try:
        if thaw(run_dir).get("tune"):
            tune(run_dir)
            return None
        with occupied(run_dir):
            return fit(run_dir)
    except UserError:
        raise
    except Exception:
        log = logging.getLogger("visionkit")
        if not log.handlers:  # before the log began, or another rank, which keeps none
            raise
        log.exception("This is not your mistake but a failure of the program. The log is %s", run_dir / "train.log")
        sys.exit(FAILURE)


def run(run_dir: Path) -> int:
    """Train a run as one of its processes; return the exit code, an error of the user's told."""
    from visionkit.config.command import errors_for_people

    try:
        with errors_for_people(_tell):
            work(run_dir)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        _leave_group()
    return 0


def main() -> None:
    """Train the run whose folder is the only argument."""
    from visionkit.config.command import yield_cores

    yield_cores()
    if len(sys.argv) != 2:
        sys.exit("usage: python -m visionkit.engine.worker <run_dir>")
    sys.exit(run(Path(sys.argv[1]).absolute()))


def _tell(text: str) -> None:
    """Print a message, or leave it where torchrun looks for it: the processes all say the same, and it says it once."""
    if file := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        said = {"message": text, "extraInfo": {"timestamp": str(int(time.time()))}}
        Path(file).write_text(json.dumps({"message": said}), encoding="utf-8")
    else:
        print(text, file=sys.stderr)


def _leave_group() -> None:
    """End the connection to the other processes: threads of it that outlive Python abort the process at times."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
