"""Heads learn from data sets that each bring some kinds of labels, and a checkpoint measures itself on them again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.trainings import frozen
from visionkit.config.frozen import plain
from visionkit.engine import evaluation
from visionkit.engine.checkpoint import load_model
from visionkit.engine.fit import fit

PART = "_target_:visionkit.data.embedded.digits.Digits,num_scenes:60,size:32,digits_per_scene:[1,2]"


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_each_head_learns_from_its_own_part(tmp_path: Path) -> None:
    """No batch of the first fifty holds a box, so a constant guess that is learnt there alone would fail."""
    run = frozen(
        tmp_path / "run", "task=multitask", "head@heads.segmentation=none", "data=joined", "data.size=32",
        "data.batch_size=1", "backbone=resnet_tiny", f"data.parts={{a:{{{PART}}},b:{{{PART},seed:1}}}}",
        "data.kinds={a:[labels],b:[boxes]}", "data.sampler=balanced", "epochs=1", "trainer=cpu",
        "heads.classification.loss.class_weights=balanced", "+trainer.limit_train_batches=20", small=False,
    )  # fmt: skip
    fit(run)
    result = json.loads((run / "result.json").read_text())
    for head, monitor in {"classification": "accuracy", "detection": "mAP_50"}.items():
        assert 0 <= result["metrics"][f"test/{head}/{monitor}"] <= 1
        assert 0 <= result["trivial"][f"test/{head}/{monitor}"] <= 1
    model = load_model(run / "checkpoints/best.ckpt")
    node = plain(OmegaConf.create({"data": evaluation.merged_data(model, None, [], run)}))["data"]
    metrics, trivial = evaluation.measure(model, node, "test", "cpu")
    assert metrics["test/classification/accuracy"] == pytest.approx(
        result["metrics"]["test/classification/accuracy"], abs=1e-6
    )
    assert trivial["test/detection/mAP_50"] == pytest.approx(result["trivial"]["test/detection/mAP_50"], abs=1e-6)
