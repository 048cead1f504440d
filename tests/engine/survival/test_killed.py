"""Real trainings get real signals: the exit code is the documented one, and the last checkpoint is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainings import SMALL, frozen
from visionkit.engine.survival.writing import newest_readable

LONG = (*(setting for setting in SMALL if not setting.startswith("epochs")), "epochs=1000")

KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from visionkit.engine.fit import fit

save, seen = torch.save, []

class Half:
    def __init__(self, file):
        self.file, self.written = file, 0
    def write(self, data):
        self.written += len(data)
        if self.written > 500_000:
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file.write(data)
    def flush(self):
        self.file.flush()

def killed(checkpoint, file, *given, **named):
    if "optimizer_states" in checkpoint:
        seen.append(checkpoint["global_step"])
    save(checkpoint, Half(file) if len(seen) == 3 else file, *given, **named)

torch.save = killed
fit(Path(sys.argv[1]))
"""
"""Ends as the third `last.ckpt` is written by half."""


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a training in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "visionkit.train", *LONG, "run_dir=run", *arguments],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(line: str, process: subprocess.Popen[str]) -> None:
    """Read until a line begins so."""
    assert process.stdout is not None
    said = []
    for each in process.stdout:
        said.append(each)
        if each.startswith(line):
            return
    pytest.fail("".join(said))


@pytest.mark.slow
def test_sigterm_to_all_processes_of_a_job(tmp_path: Path) -> None:
    """As a scheduler sends it: to the training and to the processes that load its data."""
    process = start("data.workers=1", cwd=tmp_path)
    wait_for("epoch   2", process)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 143, output
    assert "Traceback" not in output
    assert "stopped by SIGTERM after step" in output
    assert "the last checkpoint is run/checkpoints/last.ckpt; go on by the same command with resume=run" in output
    found = newest_readable(tmp_path / "run/checkpoints")
    assert found == tmp_path / "run/checkpoints/last.ckpt"
    step = int(output.split("after step ")[1].split(";")[0])
    assert torch.load(found, weights_only=True)["global_step"] == step >= 10
    assert not (tmp_path / "run/result.json").exists()


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    run_dir = frozen(tmp_path / "run", "epochs=9")
    done = subprocess.run([sys.executable, "-c", KILLED, str(run_dir)], check=False, timeout=120, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = run_dir / "checkpoints"
    assert (folder / ".last.ckpt.part").stat().st_size > 0
    found = newest_readable(folder)
    assert found == folder / "last.ckpt"
    assert torch.load(found, weights_only=True)["global_step"] == 10, "more is lost than the steps since"
    assert torch.load(folder / "last.previous.ckpt", weights_only=True)["global_step"] == 5


@pytest.mark.slow
def test_two_processes_stop_at_the_same_step(tmp_path: Path) -> None:
    process = start("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", cwd=tmp_path)
    wait_for("epoch   1", process)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 138, output
    assert output.count("stopped by SIGUSR1 after step") == 1
    assert newest_readable(tmp_path / "run/checkpoints") == tmp_path / "run/checkpoints/last.ckpt"
