"""An exported file gives what the checkpoint gives, whatever the batch; one that does not is never left behind."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from tests.trainings import frozen
from visionkit.config.frozen import plain, thaw
from visionkit.engine import build
from visionkit.engine.checkpoint import load_model, manifest
from visionkit.engine.exporter import exporting
from visionkit.engine.exporter.exporting import FORMATS, export
from visionkit.engine.exporter.graph import Deployable
from visionkit.errors import ConfigError, DataError, UserError
from visionkit.models.heads.fcos import FCOSHead
from visionkit.models.heads.linear import LinearHead
from visionkit.models.heads.multilabel import MultilabelHead
from visionkit.models.network import Network

SIDES = "data.size=[40,32]"
Settings = dict[str, Any]


def checkpoint(folder: Path, task: str, *overrides: str, head: Settings | None = None) -> Path:
    """Write the checkpoint of an untrained network that is as sure of itself as a trained one; `head` changes its head.

    Statistics of batches and biases are random too, so that none of them can be forgotten unseen.
    """
    return checkpoint_of(folder, frozen(folder / "run", f"task={task}", SIDES, *overrides), head)


def checkpoint_of(folder: Path, run: Path, head: Settings | None = None) -> Path:
    """Write the checkpoint of a frozen run that was never trained."""
    config = thaw(run)
    whole = plain(config)
    task = whole["name"]
    whole["head"].update(head or {})
    data = build.build_data(whole["data"], None, 0, ())
    names = build.class_names_of(build.build_tasks({task: whole["task"]}), data, whole["data"])
    torch.manual_seed(0)
    network = build.build_network(build.network_node(whole), names)
    network.train()(torch.randint(0, 256, (8, 3, 40, 32), dtype=torch.uint8))  # the running statistics
    top = network.heads[task]
    if isinstance(top, FCOSHead):
        for layer, factor in ((top.class_logits, 6), (top.distances, 3), (top.centerness, 6)):
            layer.weight.data *= factor
    elif isinstance(top, LinearHead | MultilabelHead):
        classifier = top.classifier if isinstance(top, LinearHead) else top.linear.classifier
        classifier.weight.data *= 20
    path = folder / "best.ckpt"
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    own = manifest(whole, OmegaConf.to_container(config.data, resolve=False), names)
    torch.save({"state_dict": state, "visionkit": own}, path)
    return path


def exported(path: Path, name: str = "onnx", **more: Any) -> Path:
    settings = {"checkpoint": str(path), "format": name, "out": None, "trusted": [], "data": None, **more}
    return export(OmegaConf.create(settings))


def runner(path: Path) -> Callable[[Tensor], Tensor]:
    """Run a file as its user does, without anything of ours."""
    if path.suffix == ".pt2":
        return torch.export.load(path).module()
    session = onnxruntime.InferenceSession(path)
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def noise(count: int, seed: int = 0) -> Tensor:
    """Images of coarse random patches."""
    g = torch.Generator().manual_seed(seed)
    patches = torch.randint(0, 256, (count, 3, 5, 4), generator=g, dtype=torch.uint8)
    return patches.repeat_interleave(8, 2).repeat_interleave(8, 3)


@torch.no_grad()
def assert_equal(network: Network, task: str, run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Compare with the checkpoint's own decoding; return the file's output."""
    expected = network.decode(network(images))[task]
    with torch.no_grad():
        found = run(images)
    assert found.dtype == torch.float32
    if task in ("classification", "multilabel"):
        torch.testing.assert_close(found, expected.probabilities, atol=1e-5, rtol=1e-4)
    elif task == "segmentation":
        torch.testing.assert_close(found, expected.logits.softmax(1), atol=1e-5, rtol=1e-4)
    else:
        there = found[..., 5] >= 0
        assert there.sum(1).tolist() == expected.image.bincount(minlength=len(images)).tolist()
        torch.testing.assert_close(found[there][:, :4], expected.boxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(found[there][:, 4], expected.score, atol=1e-5, rtol=1e-4)
        assert found[there][:, 5].tolist() == expected.label.tolist()
    return found


@pytest.mark.parametrize(
    ("task", "name"),
    [("classification", "onnx"), ("multilabel", "torch"), ("segmentation", "onnx"), ("segmentation", "torch")],
)
def test_the_file_gives_what_the_checkpoint_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str, name: str
) -> None:
    source = checkpoint(tmp_path, task)
    path = exported(source, name)
    assert path == source.with_suffix(FORMATS[name].suffix)
    said = capsys.readouterr()
    assert "proved" in said.out
    assert "in batches of 1, 5, 10" in said.out
    assert said.err == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["best.ckpt", path.name, "run"])
    network = load_model(source).network
    run = runner(path)
    for count in (1, 2, 5):
        found = assert_equal(network, task, run, noise(count, seed=count))
        assert found.argmax(1).unique().numel() > 1 or task in ("classification", "multilabel")
        assert count == 1 or found.std(0).max() > 0.01  # it looks at its images
    description = description_of(path)
    assert description["task"] == task
    assert description["class_names"][-1] == "9"
    assert description["input"]["shape"] == ["batch", 3, 40, 32]
    assert description["output"]["shape"][1:] == list(found.shape[1:])
    assert description["geometry"]["fill"] == [114, 114, 114]
    assert {"visionkit", "torch"} <= set(description["versions"])
    for folder in (Path(exporting.__file__).parents[2], tmp_path):  # it tells nothing of this machine
        assert str(folder).encode() not in path.read_bytes()


def description_of(path: Path) -> dict[str, Any]:
    if path.suffix == ".pt2":
        extra = {"visionkit.json": ""}
        torch.export.load(path, extra_files=extra)
        return json.loads(extra["visionkit.json"])
    return json.loads(onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map["visionkit"])


def test_detections_of_crowded_and_of_empty_images(tmp_path: Path) -> None:
    """Suppression has much to do in some images; in others there is nothing."""
    pool = torch.cat([noise(20), noise(20) // 8])
    network = load_model(checkpoint(tmp_path, "detection")).network
    with torch.no_grad():
        found = network.decode(network(pool))["detection"]
    order = torch.stack([found.score[found.image == image].max() for image in range(len(pool))]).sort()
    images = pool[order.indices[[0, -1, 1, -2, 2, -3, -4, -5]]]
    threshold = order.values[2].item() + 1e-4
    limits = {"score_threshold": threshold, "nms_iou": 0.3, "max_detections": 30, "max_candidates": 300}
    (tmp_path / "second").mkdir()
    source = checkpoint(tmp_path / "second", "detection", head=limits)
    path = exported(source)
    network = load_model(source).network
    run = runner(path)
    for count in (1, 2, 5):
        assert_equal(network, "detection", run, images[:count])
    rows = assert_equal(network, "detection", run, images)
    counts = (rows[..., 5] >= 0).sum(1)
    assert [bool(count) for count in counts] == [False, True, False, True, False, True, True, True]
    top = network.heads["detection"]
    with torch.no_grad():
        outputs = network(images)["detection"]
        top.nms_iou = 1.0
        top.max_detections = 1000
        assert len(top.decode(outputs).boxes) > 1.5 * counts.sum()
    assert description_of(path)["thresholds"] == limits


def test_a_faulty_graph_is_found_out_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, detections = Deployable.forward, FCOSHead.detections

    def refused(source: Path, said: str) -> None:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UserError, match=said):
            exported(source, "torch", out=str(tmp_path / "new" / "folder" / "a.pt2"))
        assert sorted(tmp_path.rglob("*")) == before

    (tmp_path / "a").mkdir()
    source = checkpoint(tmp_path / "a", "classification")
    monkeypatch.setattr(Deployable, "forward", lambda self, images: forward(self, images.flip(1)))
    refused(source, "does not give what the checkpoint gives.*probabilities differ by")
    monkeypatch.setattr(Deployable, "forward", forward)

    (tmp_path / "b").mkdir()
    source = checkpoint(tmp_path / "b", "detection", head={"max_candidates": 100})
    shift = torch.tensor([0.05, 0, 0.05, 0, 0, 0])
    monkeypatch.setattr(FCOSHead, "detections", lambda self, outputs: detections(self, outputs) + shift)
    refused(source, "does not give what the checkpoint gives.* without a counterpart")


def test_moved_data_are_asked_for(tmp_path: Path) -> None:
    for label in ("dark", "light"):
        for number in range(5):
            file = tmp_path / "old" / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            value = 40 * number + (20 if label == "light" else 0)
            file.write_bytes(cv2.imencode(".png", np.full((50, 30, 3), value, np.uint8))[1].tobytes())
    small = ("data.batch_size=4", SIDES, "epochs=1", "trainer=cpu")
    root = ("data=image_folder", f"data.root={tmp_path / 'old'}")
    folder = tmp_path / "model"
    source = checkpoint_of(folder, frozen(folder / "run", "task=classification", *root, *small, small=False))
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(DataError, match=r"data\.root=\.\.\."):
        exported(source, "torch")
    with pytest.raises(ConfigError, match=r"data\.rooot.*did you mean 'root'"):
        exported(source, "torch", data={"rooot": "x"})
    assert not list(folder.glob("*.pt2"))
    assert exported(source, "torch", data={"root": str(tmp_path / "new")}).is_file()


def test_without_the_extra_onnx_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "visionkit.engine.exporter.formats.find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    with pytest.raises(UserError, match=r'onnxscript.*pip install "visionkit\[export\]".*format=torch'):
        exported(tmp_path / "none.ckpt")
    FORMATS["torch"].require()


def test_what_cannot_be_written_is_said_before_anything_else(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, "classification")
    taken = tmp_path / "taken.onnx"
    taken.write_text("mine")
    for settings, said in (
        ({"name": "tflite"}, "format=tflite cannot be written; choose one of onnx, torch"),
        ({"out": str(taken)}, "exists already; remove it"),
        ({"out": str(tmp_path)}, f"is a folder; give a file: out={tmp_path}/best.onnx"),
        ({"out": "model.pt2"}, "format=onnx writes .onnx files; type out=model.onnx"),
        ({"out": "my model", "name": "torch"}, "format=torch writes .pt2 files; type out='my model'.pt2"),
        ({"out": str(taken / "a.onnx")}, "cannot create the folder"),
    ):
        with pytest.raises(ConfigError) as caught:
            exported(source, **settings)
        assert said in str(caught.value)
    assert taken.read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "task", "name"),
    [
        ("resnet18", "classification", "onnx"),
        ("resnet18", "segmentation", "onnx"),
        ("googlenet", "detection", "onnx"),
        ("inception_tiny", "detection", "torch"),
        ("resnet_tiny", "segmentation", "torch"),
    ],
)
def test_backbones_of_every_family_export(tmp_path: Path, backbone: str, task: str, name: str) -> None:
    source = checkpoint(tmp_path, task, f"backbone={backbone}")
    run = runner(exported(source, name))
    network = load_model(source).network
    for count in (1, 2, 5):
        assert_equal(network, task, run, noise(count))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FORMATS))
def test_the_file_needs_nothing_of_ours(tmp_path: Path, name: str) -> None:
    path = exported(checkpoint(tmp_path, "detection"), name)
    script = {
        "onnx": "import numpy, onnxruntime, sys\n"
        "found = onnxruntime.InferenceSession(sys.argv[1]).run(None, "
        "{'images': numpy.zeros((3, 3, 40, 32), numpy.uint8)})[0]",
        "torch": "import torch, sys\n"
        "found = torch.export.load(sys.argv[1]).module()(torch.zeros(3, 3, 40, 32, dtype=torch.uint8))",
    }[name]
    script += "\nassert tuple(found.shape) == (3, 100, 6)\nassert not {'visionkit', 'torchvision'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
