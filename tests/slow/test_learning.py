"""Trainings that have to learn: the defaults on the embedded digits, published protocols, and real data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run

pytestmark = pytest.mark.slow


def trained(command: Run, folder: Path, *arguments: str) -> dict[str, Any]:
    done = command("train", *arguments, "run_dir=run", timeout=600)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((folder / "run" / "result.json").read_text())
    return result


@pytest.mark.parametrize(
    ("task", "epochs", "metric", "goal"),
    [
        ("segmentation", 6, "val/mIoU_foreground", 0.4),  # after 4 it still depends on the seed: 0.30 to 0.52
        ("detection", 2, "val/mAP_50", 0.5),
        ("multilabel", 4, "val/mAP", 0.65),
    ],
)
def test_the_defaults_learn_the_digits(
    command: Run, tmp_path: Path, task: str, epochs: int, metric: str, goal: float
) -> None:
    # Epochs, not a budget: how much is learned then does not depend on how busy the machine is.
    result = trained(command, tmp_path, "experiment=digits", f"task={task}", "budget=null", f"epochs={epochs}")
    assert result["metrics"][metric] >= goal
    assert result["trivial"][metric] <= 0.2


def test_scikit_learns_protocol_on_its_digits(command: Run, tmp_path: Path) -> None:
    result = trained(command, tmp_path, "experiment=sklearn_digits")
    assert result["metrics"]["test/accuracy"] >= 0.985


def test_road_scenes_from_random_weights_beat_the_trivial_guess(command: Run, tmp_path: Path, real_data: Path) -> None:
    result = trained(
        command, tmp_path, "experiment=camvid", f"data.root={real_data / 'camvid'}", "budget=null", "epochs=40"
    )
    assert result["metrics"]["test/mIoU_foreground"] >= result["trivial"]["test/mIoU_foreground"] + 0.03
