"""A training of several labels an image goes through all parts, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from tests.trainings import frozen
from visionkit.config.frozen import plain
from visionkit.engine.checkpoint import load_model
from visionkit.engine.evaluation import measure
from visionkit.engine.fit import fit
from visionkit.engine.predictor import Predictor


@pytest.fixture(autouse=True)
def quick_on_small_maps(one_thread: None) -> None:
    """Compute on one thread."""


def test_train_evaluate_predict(tmp_path: Path) -> None:
    run_dir = frozen(tmp_path / "run", "task=multilabel", "epochs=2")
    value = fit(run_dir)
    result = json.loads((run_dir / "result.json").read_text())
    assert result["precision"] == "32-true"
    assert result["monitor"] == "val/mAP"
    assert result["metrics"]["val/mAP"] == pytest.approx(value, abs=1e-6)
    assert {"test/mAP", "test/f1_macro", "test/f1_micro"} <= set(result["metrics"])
    assert set(result["trivial"]) == {"val/mAP", "test/mAP"}
    for name in ("augmented_batch.png", "predictions.png"):
        assert cv2.imread(str(run_dir / "pictures" / name)) is not None

    model = load_model(run_dir / "checkpoints" / "best.ckpt")
    data = plain(OmegaConf.create({"data": model.manifest["data"]}))["data"]
    metrics, trivial = measure(model, data, "test", "cpu")
    assert trivial == pytest.approx({"test/mAP": result["trivial"]["test/mAP"]}, abs=1e-6)
    for name, found in metrics.items():
        assert found == pytest.approx(result["metrics"][name], abs=1e-4), name
    labels, probabilities = Predictor(model, "cpu").predict(np.zeros((90, 160, 3), dtype=np.uint8))
    assert list(probabilities) == list("0123456789")
    assert set(labels) == {name for name, p in probabilities.items() if p >= 0.5}
