"""The table of families names every pair and sees what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import step_losses
from benchmarks.families import BACKBONES, COMMON, TASKS, ends, judge, settings
from benchmarks.session import Session, TrainingError
from tests.trainings import composed, frozen
from visionkit.engine.fit import fit
from visionkit.engine.preflight import check


@pytest.mark.parametrize("task", TASKS)
def test_the_settings_fit(task: str) -> None:
    for backbone in BACKBONES:
        padded = "padding" in composed(f"backbone={backbone}").backbone
        assert ("backbone.padding=same" in settings(task, backbone)) == padded
    check(composed(*settings(task, "inception_v3"), small=False))  # which needs more pixels without padding


def test_ends_are_means_over_quarters() -> None:
    assert ends([4, 2, 9, 9, 9, 9, 1, 2]) == (3, 1.5)
    assert ends([5, 1]) == (5, 1)
    assert ends([7]) == (7, 7)


def test_verdicts() -> None:
    assert judge([2.0, 1.0], 2.0, 1.0) == "falls"
    assert judge([1.0, 1.0], 1.0, 1.0) == "does not fall"
    assert judge([2.0, float("nan"), 1.0], 2.0, 1.0) == "not finite"
    assert judge([2.0, float("inf")], 2.0, float("inf")) == "not finite"


def test_every_step_is_written_down(tmp_path: Path) -> None:
    run_dir = frozen(tmp_path / "run", "epochs=2", COMMON[-1])
    fit(run_dir)
    losses = step_losses.read(run_dir)
    assert len(losses) == 10  # 40 scenes in batches of 8, twice
    rows = (run_dir / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("train/loss")
    means = [float(value) for row in rows[1:] if (value := row.split(",")[column])]
    assert means == pytest.approx([sum(losses[:5]) / 5, sum(losses[5:]) / 5], abs=1e-4)


def test_a_finished_run_is_read_and_another_refused(tmp_path: Path) -> None:
    """Nothing is trained here: the folder holds the result of `seed=1` for 5 s."""
    run_dir = tmp_path / "a"
    run_dir.mkdir()
    result = {
        "command": "python -m visionkit.train task=detection seed=1 budget=5s run_dir=x",
        "commit": "abc",
        "monitor": "val/mAP_50",
        "metrics": {"val/mAP_50": 0.5, "test/mAP_50": 0.4},
        "trivial": {"val/mAP_50": 0.1, "test/mAP_50": 0.2},
        "checkpoint": "checkpoints/best.ckpt",
    }
    (run_dir / "result.json").write_text(json.dumps(result))
    session = Session(tmp_path, "5s")
    run = session.train("a", "task=detection", "seed=1", epochs=3)
    assert (run.figure("val"), run.figure("test"), run.trivial("test")) == (0.5, 0.4, 0.2)
    assert run.checkpoint == run_dir / "checkpoints" / "best.ckpt"
    assert list(session.commits) == ["abc"]
    assert list(session.commands) == ["python -m visionkit.train task=detection seed=1 budget=5s"]
    for other in (("task=detection", "seed=2"), ("task=detection", "seed=1", "data.size=32")):
        with pytest.raises(TrainingError, match="give another --folder"):
            session.train("a", *other)
    with pytest.raises(TrainingError, match="give another --folder"):
        Session(tmp_path, "50s").train("a", "task=detection", "seed=1")


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"task=clasification.*error:.*did you mean 'classification'"):
        Session(tmp_path, None).train("a", "task=clasification", epochs=1)
