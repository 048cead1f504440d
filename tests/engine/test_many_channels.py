"""Images of 16 bits and five channels from the files to a checkpoint, and everything that a checkpoint does."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from omegaconf import OmegaConf

import visionkit
from tests.trainings import composed, frozen
from visionkit.engine import evaluation, fit, prediction, preflight
from visionkit.engine.exporter.exporting import export
from visionkit.engine.pictures import visible
from visionkit.errors import ConfigError, DataError

SETTINGS = (
    "task=classification",
    "data=image_folder",
    "data.size=32",
    "data.batch_size=8",
    "data.workers=0",
    "data.window=[1000,5000]",
    "data.channels=[4,3,2,1,0]",
    "backbone=resnet_tiny",
    "backbone.in_channels=5",
    "trainer=cpu",
    "epochs=4",
    "optimizer.lr=0.003",
)


def stack(label: int, seed: int) -> np.ndarray:
    """Two classes that differ in one channel only, the last, and there below 256 raw values of 65536."""
    raw = np.random.default_rng(seed).normal(3000, 300, (36, 28, 5))
    raw[..., 4] += 500 * (2 * label - 1)
    return raw.clip(0, 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("satellite")
    for split, count in (("train", 24), ("val", 6)):
        for label, name in enumerate(("dry", "wet")):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                raw = stack(label, 100 * label + index + (1000 if split == "val" else 0))
                path = folder / split / name / f"{index}.tif"
                tifffile.imwrite(path, raw, photometric="minisblack", planarconfig="contig")
    return folder


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = frozen(tmp_path_factory.mktemp("runs") / "run", f"data.root={root}", *SETTINGS, small=False)
    preflight.check(composed(f"data.root={root}", *SETTINGS, small=False))
    score = fit.fit(run)
    assert score is not None
    assert score >= 0.9
    return run


def test_a_training_writes_pictures_and_its_channels(trained: Path) -> None:
    for name in ("augmented_batch", "predictions"):
        assert cv2.imread(str(trained / "pictures" / f"{name}.png")).shape[2] == 3
    network = visionkit.load(trained / "checkpoints/best.ckpt").network
    assert network.mean.flatten().tolist() == pytest.approx([255 * 0.449] * 5, rel=1e-4)  # of ImageNet's three figures


def test_loading_predicts_what_the_command_predicts(trained: Path, root: Path, tmp_path: Path) -> None:
    model = visionkit.load(trained / "checkpoints/best.ckpt")
    source = root / "val" / "wet"
    config = {"checkpoint": str(trained / "checkpoints/best.ckpt"), "source": str(source), "device": "cpu"}
    prediction.predict(OmegaConf.create({**config, "trusted": [], "out": str(tmp_path)}))
    written = json.loads((tmp_path / "predictions.json").read_text())
    assert len(written) == 6
    raw = tifffile.imread(source / "3.tif")
    for given in (source / "3.tif", raw):
        result = model.predict(given)
        assert model.tasks["classification"].as_json(result) == written["3.tif"]
    np.save(tmp_path / "3.npy", raw)
    assert model.tasks["classification"].as_json(model.predict(tmp_path / "3.npy")) == written["3.tif"]
    assert model.predict(source / "3.tif").label == "wet"
    assert model.predict(stack(0, 77)).label == "dry"
    with pytest.raises(DataError, match="the array: has 4 channels"):
        model.predict(raw[..., :4])


def test_evaluation_gives_what_training_gave(trained: Path, tmp_path: Path) -> None:
    config = OmegaConf.create(
        {"checkpoint": str(trained / "checkpoints/best.ckpt"), "split": "val", "device": "cpu", "trusted": []}
    )
    evaluation.evaluate(OmegaConf.merge(config, {"out": str(tmp_path / "a"), "data": None}), new_data=False)
    own = json.loads((trained / "result.json").read_text())["metrics"]
    again = json.loads((tmp_path / "a" / "result.json").read_text())["metrics"]
    assert again["val/accuracy"] == pytest.approx(own["val/accuracy"])
    changes = {"out": str(tmp_path / "b"), "data": {"channels": [3, 3, 2, 1, 0]}}  # what told them apart is not seen
    evaluation.evaluate(OmegaConf.merge(config, changes), new_data=False)
    worse = json.loads((tmp_path / "b" / "result.json").read_text())["metrics"]
    assert worse["val/accuracy"] < own["val/accuracy"]
    fewer = {"out": str(tmp_path / "c"), "data": {"channels": [0, 1]}}
    with pytest.raises(ConfigError, match="have 2 channels but the model sees 5"):
        evaluation.evaluate(OmegaConf.merge(config, fewer), new_data=False)


def test_an_export_says_which_channels_it_takes(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt2"
    config = {"checkpoint": str(trained / "checkpoints/best.ckpt"), "format": "torch", "out": str(out), "trusted": []}
    export(OmegaConf.create(config))
    files = {"visionkit.json": ""}

    module = torch.export.load(out, extra_files=files).module()
    said = json.loads(files["visionkit.json"])["input"]
    assert said["shape"] == ["batch", 5, 32, 32]
    assert (said["channels"], said["window"]) == ([4, 3, 2, 1, 0], [1000, 5000])
    assert module(torch.zeros(3, 5, 32, 32, dtype=torch.uint8)).shape == (3, 2)


def test_one_channel_trains_as_grey(tmp_path: Path) -> None:
    overrides = ("data.channels=[0]", "backbone.in_channels=1", "task=segmentation")
    preflight.check(composed(*overrides))
    assert fit.fit(frozen(tmp_path / "run", *overrides)) is not None
    model = visionkit.load(tmp_path / "run/checkpoints/best.ckpt")
    assert model.network.mean.shape[1] == 1
    colour = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    assert model.predict(colour).mask.shape == (40, 30)
    changed = colour.copy()
    changed[..., 1:] = 0
    assert np.array_equal(model.predict(colour).mask, model.predict(changed).mask)


@pytest.mark.parametrize(("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_what_is_looked_at(channels: int, shown: list[int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    assert np.array_equal(visible(image), image[..., shown])
