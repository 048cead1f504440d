"""Run one process of a training from its frozen file: python -m visionkit.engine.worker <run_dir>."""

from __future__ import annotations

import logging
import sys
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


def main() -> None:
    """Train the run whose folder is the only argument."""
    from visionkit.config.command import errors_for_people, yield_cores

    yield_cores()
    if len(sys.argv) != 2:
        sys.exit("usage: python -m visionkit.engine.worker <run_dir>")
    with errors_for_people():
        try:
            work(Path(sys.argv[1]).absolute())
        finally:
            _leave_group()


def _leave_group() -> None:
    """End the connection to the other processes: threads of it that outlive Python abort the process at times."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
