"""Real data sets in every format train and evaluate, through the commands."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

pytestmark = pytest.mark.slow

SMALL = ("data.size=96", "epochs=1", "trainer=cpu", "seed=0")

RUNS = {
    "bccd": ("task=detection", "data=voc", "data.root=bccd"),
    "camvid": ("task=segmentation", "data=mask_folder", "data.root=camvid", "data.ignore=11"),
    "clothing10": ("data=image_folder", "data.root=clothing10"),
    "coco_mini boxes": ("task=detection", "data=coco", "data.root=coco_mini"),
    "coco_mini masks": ("task=segmentation", "data=coco", "data.root=coco_mini"),
    "coco_mini labels": ("task=multilabel", "data=coco", "data.root=coco_mini"),
    "coco_mini table": ("task=multilabel", "data=csv", "data.root=coco_mini"),
    "nuclei boxes": ("task=detection", "data=instances", "data.root=nuclei"),
    "nuclei masks": ("task=segmentation", "data=instances", "data.root=nuclei"),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_real_set_trains_and_evaluates(
    name: str, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(real_data)
    command("train", monkeypatch, *RUNS[name], *SMALL, f"run_dir={tmp_path / 'run'}")
    trained = json.loads((tmp_path / "run" / "result.json").read_text())
    assert trained["steps"] > 0
    assert trained["metrics"][trained["monitor"]] >= 0
    checkpoint = tmp_path / "run" / trained["checkpoint"]
    command("evaluate", monkeypatch, f"checkpoint={checkpoint}", f"out={tmp_path / 'evaluated'}")
    evaluated = json.loads((tmp_path / "evaluated" / "result.json").read_text())
    for metric, value in evaluated["metrics"].items():
        assert value == pytest.approx(trained["metrics"][metric], abs=1e-4), metric
    assert evaluated["trivial"] == {k: v for k, v in trained["trivial"].items() if k.startswith("val/")}


def command(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    importlib.import_module(f"visionkit.{name}").cli()
