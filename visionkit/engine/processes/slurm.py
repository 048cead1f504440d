"""Submit a frozen run to SLURM through submitit, and go on with it when SLURM stops it and starts it again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visionkit.config.values import seconds
from visionkit.engine.processes.placement import Size
from visionkit.errors import ConfigError

SIGNAL = "USR1"
"""What SLURM sends before it ends a job; the training answers by a checkpoint."""


class Slurm:
    """Submits a run as one job with a task a process; a job that is preempted or out of time is queued again.

    `partition`, `account`, `qos`, `constraint` and `memory` (a machine; `64GB`) are SLURM's, None for its defaults;
    `time` is that of one job (`24h`), `cpus` those of each process. SLURM warns `warning` before it ends a job, which
    is started again up to `restarts` times for running out of time, and however often for being preempted. `setup` are
    shell commands to run before, `more` further options of sbatch by name. `executor` is submitit's name of what takes
    the job: `slurm`, or `local` for processes of this machine that behave alike.
    """

    def __init__(
        self,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        time: str = "24h",
        memory: str | None = None,
        cpus: int = 8,
        warning: str = "2min",
        restarts: int = 20,
        setup: Sequence[str] = (),
        more: dict[str, Any] | None = None,
        executor: str = "slurm",
    ) -> None:
        self.options = {"partition": partition, "account": account, "qos": qos, "constraint": constraint, "mem": memory}
        self.seconds, self.warning = seconds(time), seconds(warning)
        if self.warning >= self.seconds:
            raise ValueError(f"cluster.warning={warning} is no shorter than cluster.time={time}; give less")
        self.cpus = cpus
        self.restarts = restarts
        self.setup = list(setup)
        self.more = more or {}
        self.executor = executor

    def start(self, run_dir: Path, size: Size, *, gpus: bool) -> str:
        """Submit a frozen run; return what to tell the person. Raises ConfigError when SLURM does not take it."""
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = SIGNAL  # submitit reads it when it is imported
        try:
            import submitit
        except ImportError:
            raise ConfigError('cluster=slurm needs submitit; install it: pip install "visionkit[slurm]"') from None
        folder = run_dir / "slurm"
        try:
            executor = submitit.AutoExecutor(folder, cluster=self.executor, slurm_max_num_timeout=self.restarts)
            executor.update_parameters(**self._parameters(run_dir, size, gpus=gpus))
            job = executor.submit(Task(str(run_dir)))
        except (RuntimeError, submitit.core.utils.FailedJobError) as error:
            raise ConfigError(f"cluster=slurm: {' '.join(str(error).split())}") from None
        return f"job {job.job_id} trains in {run_dir}\nits tasks write to {folder}, the training to train.log"

    def _parameters(self, run_dir: Path, size: Size, *, gpus: bool) -> dict[str, Any]:
        own = {name: value for name, value in self.options.items() if value is not None}
        exported = f"export SUBMITIT_PREEMPT_SIGNAL={SIGNAL}"  # a site may keep the environment from its jobs
        return {
            "name": run_dir.name,
            "timeout_min": max(1, round(self.seconds / 60)),
            "nodes": size.nodes,
            "tasks_per_node": size.each,
            "cpus_per_task": self.cpus,
            **({"gpus_per_node": size.each} if gpus else {}),
            "slurm_signal_delay_s": round(self.warning),
            "slurm_setup": [exported, *self.setup],
            "slurm_additional_parameters": {"requeue": True, **own, **self.more},
        }


class Task:
    """What each task of a job does: the worker of a frozen run, as torchrun would start it."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = run_dir

    def __call__(self) -> None:
        """Train; after a checkpoint for SLURM's signal, let submitit queue the job again."""
        from submitit import JobEnvironment
        from submitit.helpers import TorchDistributedEnvironment

        from visionkit.config.command import yield_cores
        from visionkit.engine import worker

        yield_cores()
        job = JobEnvironment()
        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        os.environ["GROUP_RANK"] = str(job.node)
        requeue = getattr(signal, f"SIG{SIGNAL}")
        submitits = signal.getsignal(requeue)
        code = worker.run(Path(self.run_dir))
        if code == 128 + requeue:
            signal.signal(requeue, submitits)
            signal.raise_signal(requeue)  # only now: submitit ends the job at once
        elif code:
            sys.exit(code)

    def checkpoint(self) -> Any:
        """Return what the job does when it is started again: the same, from `last.ckpt` on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(Task(self.run_dir))
