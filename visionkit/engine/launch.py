"""Start a training: freeze the composed config, then run it here or in several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from visionkit.config import checks
from visionkit.config.folders import make_run_dir
from visionkit.config.frozen import FILE, freeze, plain
from visionkit.engine import build, signatures, weights
from visionkit.errors import ConfigError, UserError


def launch(config: DictConfig, choices: dict[str, Any]) -> float | None:
    """Check a composed config, freeze it in its run folder and train; return the best value of the monitor.

    One process trains here. More are started by torchrun, each from the frozen file alone, and give None.
    """
    config.name = choices["task"]
    check(config)
    whole = plain(config)
    build.check_heads(build.network_node(whole), build.build_tasks({config.name: whole["task"]}))
    processes = num_processes(whole["trainer"])
    run_dir = make_run_dir(config.run_dir, config.name)
    freeze(config, run_dir)
    if processes == 1:
        from visionkit.engine.fit import fit

        try:
            return fit(run_dir)
        except UserError:
            discard(run_dir)
            raise
    run_processes(run_dir, processes)
    return None


def discard(run_dir: Path) -> None:
    """Remove the folder of a run that could not begin, so that the same command works once it is put right."""
    made = {run_dir / name for name in (FILE, "train.log")}
    if set(run_dir.iterdir()) <= made:
        for path in made:
            path.unlink(missing_ok=True)
        run_dir.rmdir()


def check(config: DictConfig) -> None:
    """Raise one ConfigError that lists all that is missing, contradictory or unknown, before anything costly."""
    whole = OmegaConf.to_container(config, resolve=False)  # what is missing or broken is found by the first check
    found = [*checks.problems(config), *signatures.problems(whole), *weights.problems(cast(dict[str, Any], whole))]
    if found:
        raise ConfigError("\n".join(found))


def num_processes(trainer: dict[str, Any]) -> int:
    """Return how many processes a trainer node asks for on this machine."""
    import torch

    devices = trainer.get("devices", 1)
    if devices == "auto":
        on_gpu = trainer.get("accelerator") != "cpu" and torch.cuda.is_available()
        return torch.cuda.device_count() if on_gpu else 1
    if not isinstance(devices, int) or isinstance(devices, bool) or devices < 1:
        raise ConfigError(f"trainer.devices={devices} is no number of processes; give 1 or more, or auto")
    return devices


def run_processes(run_dir: Path, processes: int) -> None:
    """Run the workers of one machine to their end. Raises SystemExit with their exit code when they fail."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    try:
        done = subprocess.run(
            [*torchrun, "-m", "visionkit.engine.worker", str(run_dir)],
            env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes)), **os.environ},
            check=False,
        )
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if done.returncode:
        raise SystemExit(done.returncode)
