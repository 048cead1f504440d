"""Start a training: freeze the checked config, then run it here or in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig

from visionkit.config.command import SIGNALLED, USER_ERROR
from visionkit.config.folders import make_run_dir, short
from visionkit.config.frozen import FILE, freeze, plain, thaw
from visionkit.config.values import AUTO
from visionkit.data.skipping import JOURNAL
from visionkit.engine import build
from visionkit.engine.preflight import check
from visionkit.engine.processes.by_hand import ByHand
from visionkit.engine.processes.placement import Size, asked
from visionkit.engine.survival import resume
from visionkit.engine.survival.signals import HEARD
from visionkit.errors import UserError


def launch(config: DictConfig, choices: dict[str, Any]) -> float | None:
    """Check a composed config, freeze it in its run folder and train; return the best value of the monitor.

    One process trains here. More are started by torchrun, each from the frozen file alone, and give None; so do those
    that a cluster starts, or a person on several machines, who is told how.
    """
    config.name = choices["task"]
    check(config)
    size = asked(plain(config.trainer))
    found = resume.place(config)
    if found and found.finished:
        print(resume.told(found))
        value: float | None = found.finished["metrics"].get(found.finished["monitor"])
        return value
    run_dir = found.run_dir if found else make_run_dir(config.run_dir, config.name)
    _freeze(config, run_dir, found)
    try:
        if told := start_elsewhere(config, run_dir, size):
            print(told)
            return None
        if size.total == 1:
            from visionkit.engine.worker import work

            return work(run_dir)
    except UserError:
        if not found:
            discard(run_dir, ours=config.run_dir is None)
        raise
    if code := run_worker(run_dir, size.each):
        if code == USER_ERROR and not found:
            discard(run_dir, ours=config.run_dir is None)
        raise SystemExit(code)
    return None


def _freeze(config: DictConfig, run_dir: Path, found: resume.Place | None) -> None:
    """Freeze a config in the folder of its run, new or gone on with, and say which where that was to be found out."""
    told = config.resume is not None and not (found and found.checkpoint)
    if told:
        print(f"resume={config.resume}: there is no checkpoint to go on from; the training begins in {short(run_dir)}")
    if config.cluster:  # what a cluster stops and starts again goes on in its folder
        config.resume = config.resume or AUTO
    if found:
        freeze(config, run_dir, before=plain(thaw(run_dir).provenance))
        (run_dir / "result.json").unlink(missing_ok=True)  # else the run would count as finished
    else:
        freeze(config, run_dir)


def start_elsewhere(config: DictConfig, run_dir: Path, size: Size) -> str | None:
    """Hand a frozen run to its cluster, several machines without one to the person; return what to tell, else None."""
    if not config.cluster and size.nodes == 1:
        return None
    trainer = plain(config.trainer)
    cluster = build.build(plain(config.cluster)) if config.cluster else ByHand()
    told: str = cluster.start(run_dir, size, gpus=trainer.get("accelerator") != "cpu")
    return told


def discard(run_dir: Path, *, ours: bool) -> None:
    """Remove the folder of a run that could not begin, so that the same command works once it is put right.

    Of a folder that we named (`ours`), the folders around it go too when they are empty.
    """
    made = {run_dir / name for name in (FILE, "train.log", JOURNAL)}
    if not set(run_dir.iterdir()) <= made:
        return
    for path in made:
        path.unlink(missing_ok=True)
    run_dir.rmdir()
    for parent in run_dir.parents[: 2 if ours else 0]:
        if any(parent.iterdir()):
            break
        parent.rmdir()


def run_worker(run_dir: Path, processes: int) -> int:
    """Train from a frozen file in processes of their own on this machine; return their exit code."""
    alone = ["-m", "visionkit.engine.worker", str(run_dir)]
    several = ["-m", "visionkit.engine.processes.agent", str(processes), str(run_dir)]
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes))}
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child is not None and number != signal.SIGINT:  # Ctrl-C reaches the processes by itself
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in HEARD}  # this one waits for what they save
    try:
        child = subprocess.Popen(
            [sys.executable, *(several if processes > 1 else alone)],
            env={**(threads if processes > 1 else {}), **os.environ},
        )
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else SIGNALLED - code
