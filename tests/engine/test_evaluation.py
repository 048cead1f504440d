"""A checkpoint is measured on what its training saw of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from tests.engine.test_export import checkpoint_of
from tests.trainings import frozen
from visionkit.config.frozen import plain, thaw
from visionkit.engine import build
from visionkit.engine.checkpoint import load_model
from visionkit.engine.evaluation import measure, merged_data
from visionkit.engine.setup import set_up
from visionkit.errors import ConfigError

CHOICE = (
    "data.split=auto",
    "data.fold=2/3",
    r"data.group='/(p\d+)_'",
    "data.classes={insect:[ant,bee],cat:cat}",
    "data.limit=7",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, twelve patients, no splits."""
    folder = tmp_path_factory.mktemp("sorted")
    rng = np.random.default_rng(0)
    for name in ("ant", "bee", "cat", "dog"):
        (folder / name).mkdir()
        for index in range(12):
            cv2.imwrite(str(folder / name / f"p{index}_{index % 2}.png"), rng.integers(0, 256, (8, 8, 3), np.uint8))
    return folder


def test_evaluation_sees_the_validation_images_of_the_training(root: Path, tmp_path: Path) -> None:
    given = ("data=image_folder", f"data.root={root}", "data.size=32", "data.workers=0", "trainer=cpu", "epochs=1")
    run = frozen(tmp_path / "run", *given, *CHOICE, small=False)
    trained = set_up(thaw(run), run, progress_bar=False)
    names = {split: list(trained.data.records[split].names) for split in ("train", "val")}
    assert {split: len(part) for split, part in names.items()} == {"train": 7, "val": 7}
    assert not {name.split("/")[1] for name in names["train"]} & {name.split("/")[1] for name in names["val"]}
    path = checkpoint_of(tmp_path, run)
    model = load_model(path)
    assert model.class_names == {"classification": ("insect", "cat")}

    def seen(changes: dict[str, Any]) -> list[str]:
        node = plain(OmegaConf.create({"data": merged_data(model, changes, (), path)}))["data"]
        return list(build.build_data(node, None, 0, ("labels",)).records["val"].names)

    assert seen({}) == names["val"]
    assert set(seen({"limit": 3})) < set(names["val"])
    assert not set(seen({"fold": "1/3"})) & set(names["val"])
    node = plain(OmegaConf.create({"data": merged_data(model, {}, (), path)}))["data"]
    metrics, trivial = measure(model, node, "val", "cpu")
    assert 0 <= metrics["val/accuracy"] <= 1
    assert trivial["val/accuracy"] == pytest.approx(4 / 7, abs=1e-6)  # the limit takes as many of each class
    with pytest.raises(ConfigError, match="the data has the classes bee, ant but the model knows insect, cat"):
        measure(model, {**node, "classes": ["bee", "ant"]}, "val", "cpu")
