"""The commands as a person types them: train, evaluate, predict, and a load with nothing around."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import Run
from tests.trainings import SMALL

MONITORS = {
    "classification": "accuracy",
    "segmentation": "mIoU_foreground",
    "detection": "mAP_50",
    "multilabel": "mAP",
}
TASKS = [pytest.param(task, marks=pytest.mark.slow if task == "multilabel" else ()) for task in MONITORS]
"""What tests/engine/test_multilabel_run.py takes through its parts in this process is slow here."""
NO_NETWORK = """
import socket, sys
def refuse(*args, **kwargs):
    raise OSError("no network in this test")
socket.socket.connect = refuse
socket.create_connection = refuse
"""


@pytest.fixture(scope="module")
def digits_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide photo-sized image in a folder with an awkward name."""
    folder = tmp_path_factory.mktemp("a, b (ü)")
    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    path = folder / "lr=1, photo.png"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return path


@pytest.mark.parametrize("task", TASKS)
def test_train_evaluate_predict_load(command: Run, tmp_path: Path, digits_image: Path, task: str) -> None:
    done = command("train", f"task={task}", *SMALL, "run_dir=my run")
    assert done.returncode == 0, done.stderr
    run_dir = tmp_path / "my run"
    monitor = f"val/{MONITORS[task]}"

    result = json.loads((run_dir / "result.json").read_text())
    assert result["task"] == task
    assert result["monitor"] == monitor
    assert {monitor, f"test/{MONITORS[task]}"} <= set(result["metrics"])
    assert set(result["trivial"]) == {monitor, f"test/{MONITORS[task]}"}
    assert set(result["seconds"]) == {"setup", "training", "evaluation"}
    assert result["epochs"] == 1
    assert result["steps"] == 5
    assert result["images_per_second"] > 0
    assert result["command"].startswith(f"python -m visionkit.train task={task}")
    assert {"torch", "lightning", "visionkit"} <= set(result["versions"])
    for name in ("config.yaml", "metrics.csv", "train.log", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        assert (run_dir / name).is_file(), name
    for name in ("augmented_batch.png", "predictions.png"):
        assert cv2.imread(str(run_dir / "pictures" / name)) is not None
    assert monitor in done.stdout
    assert "visionkit.evaluate checkpoint='my run/checkpoints/best.ckpt'" in done.stdout

    # Evaluation gives the figures that training gave.
    done = command("evaluate", "checkpoint=my run/checkpoints/best.ckpt", "split=test", "out=evaluated")
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "evaluated" / "result.json").read_text())
    for name, value in measured["metrics"].items():
        assert value == pytest.approx(result["metrics"][name], abs=1e-4), name
    assert measured["trivial"] == {k: v for k, v in result["trivial"].items() if k.startswith("test/")}

    # Prediction writes plain data and pictures in the user's own pixels.
    done = command("predict", "checkpoint=my run/checkpoints/best.ckpt", f"source={digits_image.parent}", "out=seen")
    assert done.returncode == 0, done.stderr
    predicted = json.loads((tmp_path / "seen" / "predictions.json").read_text())
    assert list(predicted) == [digits_image.name]
    assert (tmp_path / "seen" / f"{digits_image.name}.png").is_file()

    # Loading needs the file alone: no configs, no network, no training libraries.
    model = tmp_path / "elsewhere" / "model.ckpt"
    model.parent.mkdir()
    (run_dir / "checkpoints" / "best.ckpt").rename(model)
    script = NO_NETWORK + (
        "import json, visionkit, visionkit.config.folders as folders\n"
        "folders.conf_dir = None\n"
        f"model = visionkit.load('model.ckpt')\n"
        f"result = model.predict({str(digits_image)!r})\n"
        "heavy = [m for m in ('lightning', 'torchmetrics', 'albumentations', 'wandb') if m in sys.modules]\n"
        "print(json.dumps([next(iter(model.tasks.values())).as_json(result), heavy]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=model.parent, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    loaded, heavy = json.loads(done.stdout.splitlines()[-1])
    assert heavy == []
    of_command = {k: v for k, v in predicted[digits_image.name].items() if not k.endswith("_file")}
    assert loaded == of_command


def test_checkpoints_hold_plain_data(command: Run, tmp_path: Path) -> None:
    assert command("train", *SMALL, "run_dir=run").returncode == 0
    for name in ("best", "last"):
        checkpoint = torch.load(tmp_path / "run/checkpoints" / f"{name}.ckpt", weights_only=True)
        manifest = checkpoint["visionkit"]
        assert manifest["class_names"] == {"classification": list("0123456789")}
        assert manifest["size"] == [32, 32]
        assert "val/accuracy" in manifest["metrics"]
        assert ("optimizer_states" in checkpoint) == (name == "last")


def test_a_budget_ends_the_training_with_its_schedule(command: Run, tmp_path: Path) -> None:
    small = [s for s in SMALL if not s.startswith("epochs")]
    done = command("train", *small, "budget=3s", "run_dir=run")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert 3 <= result["seconds"]["training"] < 30
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    full, end = 2e-3, last["optimizer_states"][0]["param_groups"][0]["lr"]
    assert end < 0.2 * full


def test_ctrl_c_ends_with_a_usable_checkpoint(command: Run, tmp_path: Path) -> None:
    arguments = [s for s in SMALL if not s.startswith("epochs")]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "visionkit.train", *arguments, "budget=1h", "run_dir=run"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch   2"):
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["interrupted"] is True
    done = command("evaluate", "checkpoint=run/checkpoints/best.ckpt")
    assert done.returncode == 0, done.stderr


def test_wandb_without_a_key_runs_offline_and_says_how_to_sync(command: Run, tmp_path: Path) -> None:
    done = command("train", *SMALL, "logger=wandb", "run_dir=run")
    assert done.returncode == 0, done.stderr
    assert "wandb sync" in done.stdout
    folder = done.stdout.split("wandb sync ")[1].split()[0]
    assert list(Path(folder).glob("*.wandb"))
    assert (tmp_path / "run/metrics.csv").is_file()
