"""Trainings that have to learn: the defaults on the embedded digits, published protocols, and real data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run

pytestmark = pytest.mark.slow

CAMVID = "[Sky,Building,Pole,Road,Pavement,Tree,SignSymbol,Fence,Car,Pedestrian,Bicyclist]"


def trained(command: Run, folder: Path, *arguments: str) -> dict[str, Any]:
    done = command("train", *arguments, "run_dir=run", timeout=600)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((folder / "run" / "result.json").read_text())
    return result


@pytest.mark.parametrize(
    ("task", "metric", "goal"),
    [
        ("classification", "val/accuracy", 0.97),
        ("segmentation", "val/mIoU_foreground", 0.70),
        ("detection", "val/mAP_50", 0.90),
    ],
)
def test_the_defaults_learn_the_digits_in_two_minutes(
    command: Run, tmp_path: Path, task: str, metric: str, goal: float
) -> None:
    result = trained(command, tmp_path, f"task={task}")
    assert result["metrics"][metric] >= goal
    assert result["trivial"][metric] <= 0.2


def test_scikit_learns_protocol_on_its_digits(command: Run, tmp_path: Path) -> None:
    result = trained(command, tmp_path, "experiment=sklearn_digits")
    assert result["metrics"]["test/accuracy"] >= 0.985


@pytest.mark.parametrize(
    ("arguments", "folder", "metric", "margin"),
    [
        pytest.param(("task=detection", "data=voc"), "bccd", "test/mAP_50", 0.2, id="bccd"),
        pytest.param(
            ("task=classification", "data=image_folder", "augment=medium", "data.size=96"),
            "clothing10", "test/accuracy", 0.15, id="clothing10",
        ),
        pytest.param(
            ("task=segmentation", "data=mask_folder", "data.ignore=11", f"data.classes={CAMVID}"),
            "camvid", "test/mIoU_foreground", 0.03, id="camvid",
        ),
    ],
)  # fmt: skip
def test_real_data_from_scratch_beat_the_trivial_guess(
    command: Run, tmp_path: Path, real_data: Path, arguments: tuple[str, ...], folder: str, metric: str, margin: float
) -> None:
    result = trained(command, tmp_path, *arguments, f"data.root={real_data / folder}", "budget=75s")
    assert result["metrics"][metric] >= result["trivial"][metric] + margin
