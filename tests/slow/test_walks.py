"""The README's walks with data of one's own, in a fresh environment without network; they train for a shorter time."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from tests.documented import ROOT, walks
from tests.slow.fresh import Fresh

pytestmark = pytest.mark.slow

WALKS = {"clothes": ("clothing10", "test/accuracy", 0.15), "cells": ("bccd", "test/mAP_50", 0.3)}
"""By the folder that the README gives its data: the data set, the figure, and by how much it beats the guess."""


def test_the_readme_has_these_walks() -> None:
    assert [walk[0].split("data.root=")[1].split()[0] for walk in walks(ROOT / "README.md")] == list(WALKS)


@pytest.mark.parametrize("name", list(WALKS))
def test_a_walk_of_the_readme(name: str, fresh: Fresh, real_data: Path, tmp_path: Path) -> None:
    data, figure, margin = WALKS[name]
    (tmp_path / name).symlink_to(real_data / data)
    (walk,) = [walk for walk in walks(ROOT / "README.md") if f"data.root={name} " in walk[0]]
    shorter = "\n".join(walk).replace("budget=90s", "budget=55s")
    assert "budget=55s" in shorter
    done = fresh.run(shorter, tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    run = tmp_path / "runs" / name
    result = json.loads((run / "result.json").read_text())
    assert result["metrics"][figure] >= result["trivial"][figure] + margin
    (evaluated,) = tmp_path.glob("runs/*/*_evaluate/result.json")
    assert json.loads(evaluated.read_text())["metrics"][figure] == pytest.approx(result["metrics"][figure], abs=1e-4)
    seen = json.loads((run / "seen" / "predictions.json").read_text())
    assert seen
    for image in seen:
        assert cv2.imread(str(run / "seen" / f"{image}.png")) is not None
    assert (run / "checkpoints" / "best.onnx").stat().st_size > 1e5
    assert cv2.imread(str(run / "pictures" / "predictions.png")) is not None
