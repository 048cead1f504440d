"""What SLURM is given, and how a job goes on when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import fake_slurm
from tests.conftest import Run
from visionkit.engine import worker
from visionkit.engine.processes.placement import Size
from visionkit.engine.processes.slurm import Slurm, Task
from visionkit.errors import ConfigError


def test_a_job_has_a_task_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    cluster = Slurm(
        partition="fast", time="90min", warning="3min", cpus=4, setup=["module load cuda"], more={"nice": 5}
    )
    run_dir = tmp_path / "run"
    said = cluster.start(run_dir, Size(2, 8), gpus=True)
    assert f"job {fake_slurm.JOB} trains in {run_dir}" in said
    script = (commands / "script.sh").read_text()
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2]
        for line in script.splitlines()
        if line.startswith("#SBATCH")
    )
    asked = {
        "nodes": "2", "ntasks-per-node": "8", "gpus-per-node": "8", "cpus-per-task": "4", "time": "90", "nice": "5",
        "signal": "USR1@180", "partition": "fast", "job-name": "run", "requeue": "",
    }  # fmt: skip
    assert {name: options.get(name) for name in asked} == asked
    assert "account" not in options
    assert "module load cuda" in script.splitlines()
    assert "export SUBMITIT_PREEMPT_SIGNAL=USR1" in script.splitlines(), "a site may keep the environment from jobs"
    cluster.start(tmp_path / "other", Size(1, 2), gpus=False)
    assert "gpus" not in (commands / "script.sh").read_text()


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="srun"):
        Slurm().start(tmp_path / "run", Size(1, 1), gpus=True)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[int]]:
    """Be the second of two tasks of a job; the signals that submitit gets are noted."""
    environment = {
        "SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NODEID": "0", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_JOB_NODELIST": "localhost",
    }  # fmt: skip
    commands = fake_slurm.install(tmp_path / "bin")
    for name, value in {**environment, "PATH": f"{commands}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK"):
        monkeypatch.setenv(name, "29500")  # the task sets them
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    yield heard
    signal.signal(signal.SIGUSR1, before)


def test_a_task_is_queued_again_when_its_checkpoint_is_written(
    job: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: dict[str, Any] = {}

    def train(run_dir: Path) -> int:
        found.update({name: os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")})
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a training's own, not given back
        assert not job, "submitit would end the job at once"
        return 128 + signal.SIGUSR1

    monkeypatch.setattr(worker, "run", train)
    Task(str(tmp_path))()
    assert found == {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert job == [signal.SIGUSR1]
    assert Task(str(tmp_path)).checkpoint().function.run_dir == str(tmp_path)


def test_a_task_that_fails_says_so(job: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(worker, "run", lambda run_dir: 2)
    with pytest.raises(SystemExit) as ended:
        Task(str(tmp_path))()
    assert ended.value.code == 2
    assert not job


def until(there: Path, seconds: float = 200) -> None:
    ends = time.monotonic() + seconds
    while not there.exists():
        assert time.monotonic() < ends, f"{there} was not written"
        time.sleep(0.05)


@pytest.mark.full
def test_one_command_trains_on_slurm_and_goes_on_when_preempted(command: Run, tmp_path: Path) -> None:
    commands = fake_slurm.install(tmp_path / "bin")
    done = command(
        "train", "cluster=slurm", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "epochs=400",
        "data.num_scenes=40", "data.size=32", "data.batch_size=8", "run_dir=run",
        PATH=f"{commands}:{os.environ['PATH']}", FAKE_SLURM_RUNS="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"job {fake_slurm.JOB}" in done.stdout
    until(tmp_path / "run" / "checkpoints" / "last.ckpt")
    for task in (commands / "tasks").read_text().split():
        os.kill(int(task), signal.SIGUSR1)
    until(commands / "over")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    log = (tmp_path / "run" / "train.log").read_text()
    assert result["epochs"] == 400
    assert log.count("epoch   1 ") == 1, "the second job began anew"
    assert log.count("processes: 2") == 2
