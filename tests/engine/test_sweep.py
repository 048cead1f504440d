"""A sweep: numbered trials from frozen files, one that fails, and the table of them all."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from tests.conftest import Run
from visionkit import train
from visionkit.config.folders import sweep_dir
from visionkit.config.frozen import thaw
from visionkit.engine import sweep
from visionkit.errors import ConfigError

SPACE = ("data=sklearn_digits", "data.size=32", "trainer=debug", "optimizer.lr=1e-3,1e-2")


@pytest.mark.slow
def test_a_trial_that_fails_leaves_the_others_alone(command: Run, tmp_path: Path) -> None:
    # scikit-learn's digits have no boxes: that comes out when the data are read.
    done = command("train", "-m", "task=detection,classification", *SPACE[:-1], "run_dir=a sweep, mine")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 2 failed" in done.stdout
    folder = tmp_path / "a sweep, mine"
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["trial"], row["task"], row["state"]) for row in rows] == [
        ("1", "classification", "done"),
        ("0", "detection", "failed"),
    ]
    result = json.loads((folder / "1" / "result.json").read_text())
    assert float(rows[0]["val/accuracy"]) == pytest.approx(result["metrics"]["val/accuracy"], abs=1e-4)
    assert result["command"].startswith(f"python -m visionkit.train task=classification {' '.join(SPACE[:-1])}")
    assert str(folder / "1" / "checkpoints" / "best.ckpt") in done.stdout.split("best ")[-1]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Replace the workers of a sweep: each leaves a result that follows from its settings."""
    ran: list[str] = []

    def run(run_dir: Path, processes: int) -> int:
        config = thaw(run_dir)
        ran.append(f"{run_dir.name}:{config.name}:{config.backbone._target_.split('.')[-1]}:{config.optimizer.lr}")
        metrics = {"val/accuracy": config.optimizer.lr * 10, "test/accuracy": 0.5}
        result = {"monitor": "val/accuracy", "metrics": metrics, "epochs": 2, "checkpoint": "checkpoints/best.ckpt"}
        (run_dir / "result.json").write_text(json.dumps({**result, "seconds": {"training": 3.2}}))
        return {0.02: 130, 0.04: 143}.get(config.optimizer.lr, 0)

    monkeypatch.setattr(sweep, "run_worker", run)
    monkeypatch.chdir(tmp_path)
    return ran


def swept(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "-m", *arguments])
    train.cli()


def test_commas_are_multiplied_and_the_best_stands_first(
    workers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(monkeypatch, "backbone=vgg_tiny,resnet18", *SPACE)
    assert workers == ["0:classification:ConvNet:0.001", "1:classification:ConvNet:0.01",
                       "2:classification:Torchvision:0.001", "3:classification:Torchvision:0.01"]  # fmt: skip
    (table,) = tmp_path.glob("runs/sweeps/classification_*/trials.csv")
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["val/accuracy"] for row in rows] == ["0.1000", "0.1000", "0.0100", "0.0100"]
    assert rows[0]["backbone"] in {"vgg_tiny", "resnet18"}
    assert "data" not in rows[0], "what is the same in all trials is not in the table"
    shown = capsys.readouterr().out
    assert shown.index("0.1000") < shown.index("0.0100")


def test_a_scheduler_ends_the_sweep(workers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as ended:
        swept(monkeypatch, *SPACE[:-1], "optimizer.lr=0.04,0.01", "run_dir=mine")
    assert ended.value.code == 143
    assert len(workers) == 1


def test_ctrl_c_ends_the_sweep_and_shows_what_there_is(
    workers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        swept(monkeypatch, *SPACE[:-1], "optimizer.lr=0.01,0.02,0.03", "run_dir=mine")
    assert ended.value.code == 130
    assert len(workers) == 2
    assert "1 trainings were not begun" in capsys.readouterr().out
    assert (tmp_path / "mine" / "trials.csv").read_text().count("\n") == 3


def test_tuning_is_no_trial(
    workers: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        swept(monkeypatch, *SPACE[:-1], "tune=null,lr")
    assert ended.value.code == 2
    assert "trial 1: -m compares trainings, and tune=lr begins none; tune without -m" in capsys.readouterr().err
    assert not workers


def test_what_is_started_elsewhere_is_not_waited_for(
    workers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(monkeypatch, *SPACE, "cluster=by_hand", "run_dir=mine")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("torchrun ")]
    folders = [tmp_path / "mine" / name for name in "01"]
    assert [line.split()[-1] for line in said] == [str(folder) for folder in folders]
    assert [thaw(folder).optimizer.lr for folder in folders] == [0.001, 0.01]
    assert not workers
    assert not (tmp_path / "mine" / "trials.csv").exists()


def test_sweeps_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = sweep_dir(None, "detection", ["a=1,2", "b=3"])
    assert first == sweep_dir(None, "detection", ["b=3", "a=1,2"]), "the order of arguments says nothing"
    assert first != sweep_dir(None, "detection", ["a=1,2", "b=4"])
    first.mkdir(parents=True)
    assert sweep_dir(None, "detection", ["a=1,2", "b=3"]).name == f"{first.name}_2"
    (first / "trials.csv").touch()
    with pytest.raises(ConfigError, match="already holds a run or a sweep"):
        sweep_dir(str(first), "detection", [])
