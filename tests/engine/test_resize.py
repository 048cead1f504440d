"""A model brings images to its network in evaluation, prediction and export as in its training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.trainings import frozen
from visionkit.config.frozen import plain, thaw
from visionkit.data.geometry import Crop, Fit
from visionkit.engine import checkpoint
from visionkit.engine.evaluation import measure, merged_data
from visionkit.engine.exporter.description import describe
from visionkit.engine.exporter.graph import Deployable
from visionkit.engine.exporter.proof import validation_images
from visionkit.engine.fit import fit
from visionkit.engine.predictor import Predictor
from visionkit.errors import ConfigError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on wide pictures of two classes that are cut to their middle and kept on disk."""
    folder = tmp_path_factory.mktemp("wide")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for shade, name in ((60, "dark"), (200, "light")):
            (folder / "data" / split / name).mkdir(parents=True)
            for index in range(6):
                picture = np.clip(rng.normal(shade, 20, (40, 90, 3)), 0, 255).astype(np.uint8)
                picture[:, :20] = picture[:, -20:] = rng.integers(0, 256, 3)  # misleading edges
                assert cv2.imwrite(str(folder / "data" / split / name / f"{index}.png"), picture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISIONKIT_CACHE", str(folder / "cache"))
        fit(
            frozen(
                folder / "run",
                "data=image_folder",
                f"data.root={folder / 'data'}",
                "data.resize=crop",
                "data.cache=disk",
                "data.size=32",
                "data.batch_size=6",
                "data.workers=0",
                "epochs=2",
                "trainer=cpu",
                small=False,
            )
        )
    return folder / "run"


def test_the_manifest_says_how(run: Path) -> None:
    model = checkpoint.load_model(run / "checkpoints/best.ckpt")
    assert model.manifest["resize"] == "crop"
    assert checkpoint.resize_of(model.manifest) == Crop((32, 32))
    assert checkpoint.resize_of({"size": [24, 32]}) == Fit((24, 32))  # of an older version
    assert "resized images are kept in" in (run / "train.log").read_text(encoding="utf-8")


def test_evaluation_prediction_and_export_see_the_middle(run: Path) -> None:
    path = run / "checkpoints/best.ckpt"
    model = checkpoint.load_model(path)
    data = plain(thaw(run))["data"]
    scores, _ = measure(model, {**data, "resize": "fit", "cache": "none"}, "val", "cpu")
    assert scores["val/accuracy"] == pytest.approx(model.manifest["metrics"]["val/accuracy"], abs=1e-6)
    images, _ = validation_images(model, None, (), path)
    files = sorted((run.parent / "data/val").rglob("*.png"))
    first = cv2.cvtColor(cv2.imread(str(files[0])), cv2.COLOR_BGR2RGB)
    middle = Crop((32, 32)).place(40, 90).image(first)
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), middle)
    predictor = Predictor(model)
    with torch.inference_mode():
        expected = predictor.decode(middle[None])["classification"].probabilities[0]
    found = predictor.predict(first)
    assert found.probability == pytest.approx(float(expected.max()), abs=1e-5)
    geometry = describe(model, Deployable(model))["geometry"]
    assert "window" in geometry
    assert "fill" not in geometry


def test_how_belongs_to_the_model(run: Path) -> None:
    path = run / "checkpoints/best.ckpt"
    with pytest.raises(ConfigError, match=r"data\.resize belongs to the model"):
        merged_data(checkpoint.load_model(path), {"resize": "fit"}, (), path)
