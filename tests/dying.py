"""Trainings that die at a step, for what survives it.

python -m tests.dying run@7 other@12               # each in a process of its own, killed behind that batch
python -m torch.distributed.run ... -m tests.dying run run2@7 run2   # one after the other, ended by an exception
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import lightning as L
import torch

WHERE = "VISIONKIT_TEST_DIES_AT"
"""The environment's variable with the batch, counted from 0 over all epochs, behind which to die; nowhere without."""

HOW = "VISIONKIT_TEST_DIES_OF"
"""The signal to die of; of `Dead` without."""

DIES = "+callbacks.dies._target_=tests.dying.Dies"
"""The setting that makes a training do so."""


class Dead(BaseException):
    """What `kill -9` is to a process, to a test inside it: nothing catches it and tidies up."""


class Dies(L.Callback):
    """Ends the training behind a batch, before a checkpoint of it is written."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Die."""
        if str(trainer.fit_loop.total_batch_idx) != os.environ.get(WHERE):
            return
        if HOW not in os.environ:
            raise Dead
        signal.raise_signal(signal.Signals[os.environ[HOW]])


def main() -> None:
    """Train the frozen runs that are named."""
    from tests.dying import Dead  # as the callback knows it, and not this script's own
    from visionkit.engine.fit import fit

    for given in sys.argv[1:]:
        run_dir, _, batch = given.partition("@")
        os.environ[WHERE] = batch
        if "RANK" in os.environ:
            try:
                fit(Path(run_dir))
            except Dead:
                assert batch
            if given == sys.argv[-1]:  # threads of a group that outlive Python abort the process at times
                torch.distributed.destroy_process_group()
            continue
        os.environ[HOW] = "SIGKILL"
        child = os.fork()  # nothing has been computed yet, so there are no threads to lose
        if child == 0:
            fit(Path(run_dir))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


if __name__ == "__main__":
    main()
