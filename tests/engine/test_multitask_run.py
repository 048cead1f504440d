"""A run of several heads, from its losses to what each command makes of its checkpoint."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from omegaconf import OmegaConf
from rich.console import Console
from torch import Tensor

import visionkit
from tests.trainings import composed, frozen
from visionkit.config.frozen import plain, thaw
from visionkit.engine.checkpoint import load_model
from visionkit.engine.doctor import preview
from visionkit.engine.evaluation import evaluate
from visionkit.engine.exporter.exporting import export
from visionkit.engine.exporter.graph import Deployable
from visionkit.engine.exporter.proof import BATCHES, prove
from visionkit.engine.fit import fit
from visionkit.engine.module import VisionModule
from visionkit.engine.prediction import write
from visionkit.engine.results import metrics_table
from visionkit.engine.setup import Setup, set_up
from visionkit.engine.summary.composing import of_checkpoint
from visionkit.engine.summary.showing import summarise
from visionkit.engine.summary.text import text
from visionkit.types import Batch

HEADS = ("classification", "detection", "segmentation")
MONITORS = {
    "val/classification/accuracy",
    "val/detection/mAP_50",
    "val/segmentation/mIoU_foreground",
    "val/combined",
}


class Run(NamedTuple):
    folder: Path
    value: float | None
    result: dict[str, Any]
    shown: str
    checkpoint: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short training of three heads whose weights are learned."""
    folder = frozen(
        tmp_path_factory.mktemp("multitask") / "run", "task=multitask", "task.loss_weights=learned",
        "optimizer.lr=0.01", "data.workers=0",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        console = Console(record=True, width=200)
        patch.setattr("visionkit.engine.results.Console", lambda **_: console)
        value = fit(folder)
    result = json.loads((folder / "result.json").read_text())
    return Run(folder, value, result, console.export_text(), folder / "checkpoints/best.ckpt")


def begun(folder: Path, *overrides: str) -> Setup:
    run_dir = frozen(folder, "augment=none", "data.workers=0", *overrides)
    return set_up(thaw(run_dir), run_dir, progress_bar=False)


GIVEN = {"classification": 2.0, "detection": 0.5, "segmentation": 3.0}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """A training of three heads with weights that were given, before its first step."""
    weights = (f"heads.{name}.weight={weight}" for name, weight in GIVEN.items())
    return begun(tmp_path_factory.mktemp("several") / "run", "task=multitask", *weights)


def gradients(module: VisionModule, batch: Batch) -> dict[str, Tensor]:
    module.zero_grad()
    outputs = module.network.eval()(batch.images, batch.targets)  # dropout would draw anew
    module._losses("train", outputs, batch)[0].backward()
    return {name: p.grad.clone() for name, p in module.network.named_parameters() if p.grad is not None}


def test_every_head_is_taught_by_its_own_loss_times_its_weight(several: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two heads teach the backbone is the weighted sum of what each teaches; a head hears its own loss only."""
    batch, module = next(iter(several.data.train_dataloader())), several.module
    together = gradients(module, batch)
    alone = {}
    for name in HEADS:
        monkeypatch.setattr(module.loss_weights, "weights", {**dict.fromkeys(HEADS, 0.0), name: 1.0})
        alone[name] = gradients(module, batch)
    for name, gradient in together.items():
        own = [head for head in HEADS if name.startswith(f"heads.{head}.")]
        expected = sum(GIVEN[head] * alone[head][name] for head in own or HEADS if name in alone[head])
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
        for head in own:
            assert gradient.any()
            assert not any(alone[other][name].any() for other in HEADS if other != head)


ONE_NECK = [pytest.param(task, marks=() if task == "detection" else pytest.mark.slow) for task in HEADS]


@pytest.mark.parametrize("task", ONE_NECK)
def test_a_head_among_others_is_the_head_of_its_own_run(tmp_path: Path, several: Setup, task: str) -> None:
    """With the same weights it gives the same outputs and loss terms."""
    single = begun(tmp_path / "run", f"task={task}")
    theirs = several.module.network.state_dict()
    renamed = {name: theirs[name.replace("necks.neck.", "necks.fpn.")] for name in single.module.network.state_dict()}
    single.module.network.load_state_dict(renamed)
    batch, own = (next(iter(setup.data.train_dataloader())) for setup in (several, single))
    torch.testing.assert_close(batch.images, own.images)
    found = several.module.network.eval()(batch.images)[task]
    alone = single.module.network.eval()(own.images)[task]
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one, other)
    _, logged = several.module._losses("val", several.module.network(batch.images), batch)
    total, _ = single.module._losses("val", {task: alone}, own)
    terms = [value for name, value in logged.items() if name.startswith(f"val/{task}/")]
    torch.testing.assert_close(sum(terms), total)


def test_training_tells_of_every_head(run: Run) -> None:
    result = run.result
    assert result["task"] == "multitask"
    assert result["monitor"] == "val/combined"
    judged = {name for name in result["trivial"] if name.startswith("val/")}
    assert judged == MONITORS
    for split in ("val", "test"):
        for scores in (result["metrics"], result["trivial"]):
            own = [scores[name.replace("val/", f"{split}/")] for name in MONITORS - {"val/combined"}]
            assert scores[f"{split}/combined"] == pytest.approx(sum(own) / 3, abs=2e-6)
    assert run.value == pytest.approx(result["metrics"]["val/combined"], abs=1e-6)
    for name in ("augmented_batch.png", "predictions.png"):
        assert cv2.imread(str(run.folder / "pictures" / name)) is not None
    assert len(list((run.folder / "pictures").iterdir())) == 2
    log = (run.folder / "train.log").read_text()
    assert "classes: classification 10  detection 10  segmentation 11" in log
    assert "  detection/mAP_50 0." in log
    assert any("val/classification/accuracy does not speak of that" in hint for hint in result["hints"])
    assert len(result["hints"]) == len(set(result["hints"]))


def test_learned_weights_are_logged_and_told(run: Run) -> None:
    with (run.folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss"]]
    logged = {head: float(rows[-1][f"train/{head}/weight"]) for head in HEADS}
    assert logged == pytest.approx(run.result["loss_weights"], abs=1e-6)
    assert all(0 < weight < 1 for weight in logged.values())  # all losses are large in the beginning
    assert f"learned weights of the losses: classification {logged['classification']:.2f}, detection" in run.shown


def test_the_table_has_a_block_a_head(run: Run) -> None:
    lines = [line.split() for line in run.shown.splitlines()]
    start = lines.index(["metric", "val", "trivial", "test", "trivial"])
    table = [line for line in lines[start : lines.index(["segmentation"]) + 4] if line]
    assert [(row[0], len(row)) for row in table[1:3]] == [("combined", 5), ("loss", 3)]
    assert [row[0] for row in table if len(row) == 1] == list(HEADS)
    after = {line[0]: table[index + 1] for index, line in enumerate(table) if len(line) == 1}
    assert {head: row[0] for head, row in after.items()} == {
        "classification": "accuracy",
        "detection": "mAP_50",
        "segmentation": "mIoU_foreground",
    }
    value = run.result["metrics"]
    assert after["detection"][1] == f"{value['val/detection/mAP_50']:.4f}"
    assert after["detection"][3] == f"{value['test/detection/mAP_50']:.4f}"
    assert not any(row[0] in ("dice", "centerness", "weight") for row in table)  # terms of the losses
    assert "val/segmentation/dice" in value


def test_one_task_keeps_its_plain_table() -> None:
    console = Console(record=True, width=80)
    with console.capture() as capture:
        console.print(metrics_table({"val/mIoU": 0.5, "val/loss": 2.0}, {"val/mIoU": 0.1}, ("segmentation",)))
    assert [line.split() for line in capture.get().splitlines()][1:] == [
        ["val/loss", "2.0000"],
        ["val/mIoU", "0.5000", "0.1000"],
    ]


@pytest.mark.parametrize("split", ["val", pytest.param("test", marks=pytest.mark.slow)])
def test_evaluation_gives_what_training_gave(run: Run, tmp_path: Path, split: str) -> None:
    value, result = evaluated(run, tmp_path / "out", split=split)
    for scores, expected in ((result["metrics"], run.result["metrics"]), (result["trivial"], run.result["trivial"])):
        assert f"{split}/combined" in scores
        for name, score in scores.items():
            assert score == pytest.approx(expected[name], abs=1e-5), name
    assert {name for name in run.result["trivial"] if name.startswith(split)} == set(result["trivial"])
    assert result["monitor"] == f"{split}/combined"
    assert value == result["metrics"][f"{split}/combined"]


def evaluated(run: Run, out: Path, data: Any = None, **more: Any) -> tuple[float, dict[str, Any]]:
    """Return what the command's main returns and the result that it writes."""
    settings = {"checkpoint": str(run.checkpoint), "split": "val", "device": "cpu", "trusted": [], "out": str(out)}
    value = evaluate(OmegaConf.create({**settings, "data": data, **more}), new_data=data is not None)
    return value, json.loads((out / "result.json").read_text())


def test_data_with_labels_of_some_heads_measure_these(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in map(str, range(10)):
            (tmp_path / split / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / split / name / "a.png"), rng.integers(0, 256, (32, 32, 3), np.uint8))
    given = ("data=image_folder", f"data.root={tmp_path}", "data.workers=0", "name=x", "run_dir=x")
    value, result = evaluated(run, tmp_path / "out", plain(composed(*given, small=False))["data"])
    assert {name.split("/")[1] for name in result["metrics"]} == {"classification"}  # and none combined
    assert set(result["trivial"]) == {"val/classification/accuracy"}
    assert math.isnan(value)
    said = capsys.readouterr().out.splitlines()
    assert "the data has no boxes: detection is not measured" in said
    assert "the data has no masks: segmentation is not measured" in said


def test_prediction_holds_all_heads(run: Run, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    model = visionkit.load(run.checkpoint)
    assert list(model.predict(tmp_path / "a.png")) == list(HEADS)
    found = write(model, tmp_path / "a.png", tmp_path / "seen" / "a.png")
    assert list(found) == list(HEADS)
    assert "objects" in found["detection"]
    assert "label" in found["classification"]
    assert found["segmentation"]["mask_file"] == "a.png_segmentation_mask.png"
    assert sorted(path.name for path in (tmp_path / "seen").iterdir()) == ["a.png.png", "a.png_segmentation_mask.png"]
    assert cv2.imread(str(tmp_path / "seen" / "a.png_segmentation_mask.png"), -1).shape == (50, 70)


def exported(run: Run, path: Path, name: str) -> Path:
    settings = {"checkpoint": str(run.checkpoint), "format": name, "out": str(path), "trusted": [], "data": None}
    return export(OmegaConf.create(settings))


@torch.no_grad()
def expected_of(run: Run, images: Tensor) -> dict[str, Tensor]:
    network = load_model(run.checkpoint).network
    outputs = network(images)
    decoded = network.decode(outputs)
    return {
        "classification/probabilities": decoded["classification"].probabilities,
        "detection/detections": network.heads["detection"].detections(outputs["detection"]),
        "segmentation/probabilities": decoded["segmentation"].logits.softmax(1),
    }


IMAGES = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_what_is_exported_is_proved_head_by_head(run: Run) -> None:
    model = load_model(run.checkpoint)
    detector = model.network.heads["detection"]
    detector.max_candidates = detector.max_detections = 20  # an untrained one finds boxes everywhere, which takes long
    graph = Deployable(model)
    with torch.no_grad():
        found = graph(IMAGES)
    assert isinstance(found, dict)
    assert list(found) == ["classification/probabilities", "detection/detections", "segmentation/probabilities"]
    images = IMAGES.repeat(6, 1, 1, 1)[: sum(BATCHES)]
    assert all(agreement.holds for agreement in prove(graph, graph, images).values())
    for name in ("classification/probabilities", "segmentation/probabilities"):

        def wrong(images: Tensor, name: str = name) -> dict[str, Tensor]:
            own = graph(images)
            return {**own, name: own[name] + 0.1}

        agreements = prove(graph, wrong, images)
        assert [head for head, agreement in agreements.items() if not agreement.holds] == [name.split("/")[0]]


@pytest.mark.slow
def test_an_onnx_file_holds_all_heads(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = exported(run, tmp_path / "all.onnx", "onnx")
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": IMAGES.numpy()}), strict=True))
    expected = expected_of(run, IMAGES)
    assert list(found) == list(expected)
    for name in ("classification/probabilities", "segmentation/probabilities"):
        torch.testing.assert_close(torch.from_numpy(found[name]), expected[name], atol=1e-5, rtol=1e-4)
    assert found["detection/detections"].shape == expected["detection/detections"].shape
    described = json.loads(session.get_modelmeta().custom_metadata_map["visionkit"])
    assert {name: head["output"]["name"] for name, head in described["heads"].items()} == {
        name.split("/")[0]: name for name in expected
    }
    assert described["heads"]["segmentation"]["class_names"][0] == "background"
    assert described["heads"]["detection"]["thresholds"]["max_detections"] == 100
    assert not {"task", "output", "class_names"} & set(described)
    shown = capsys.readouterr().out
    assert "classification_probabilities, detection_detections, segmentation_probabilities = session.run(" in shown
    for head in HEADS:
        assert f"          {head}: " in shown  # each is proved


@pytest.mark.slow
def test_a_torch_file_holds_all_heads(run: Run, tmp_path: Path) -> None:
    model = torch.export.load(exported(run, tmp_path / "all.pt2", "torch")).module()
    with torch.no_grad():
        found = model(IMAGES)
    expected = expected_of(run, IMAGES)
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)


def test_a_summary_tells_what_each_head_costs(run: Run) -> None:
    config = OmegaConf.create({"checkpoint": str(run.checkpoint), "trusted": [], "data": {"size": 32}})
    summary = summarise(of_checkpoint(config, [f"checkpoint={run.checkpoint}"]))
    network = load_model(run.checkpoint).network
    parts = {"backbone": network.backbone, "neck fpn": network.necks["fpn"]}
    parts |= {f"head {name}": network.heads[name] for name in HEADS}
    costs = summary.parts()
    assert list(costs) == ["input", *parts]
    for part, module in parts.items():
        assert costs[part][0] == sum(p.numel() for p in module.parameters()), part
    assert sum(own[1] for own in costs.values()) == summary.multiply_adds
    assert [level.part for level in summary.levels] == ["backbone"] * 4 + ["neck fpn"] * 3
    shown = text(summary)
    assert {"heads.detection", "heads.segmentation"} <= set(shown.splitlines())
    assert [one["part"] for one in summary.as_json()["parts"]] == list(costs)


def test_the_doctor_draws_all_labels_in_one_picture(tmp_path: Path) -> None:
    settings = plain(composed("task=multitask", "augment=none", "name=x", "run_dir=x", "head@heads.detection=none"))
    tasks = preview.tasks(settings, "multitask", ())
    assert {name: list(own) for name, own in tasks.items()} == {"multitask": ["classification", "segmentation"]}
    ((name, image),) = preview.draw(settings, tasks, 4)
    assert (name, image.ndim) == ("multitask", 3)
    every = preview.tasks(settings, None, ("mask", "labels"))
    assert sorted((name, list(own)) for name, own in every.items()) == [
        ("classification", ["classification"]),
        ("segmentation", ["segmentation"]),
    ]


@pytest.mark.slow
def test_a_backbone_is_begun_with_and_all_heads_are_new(run: Run, tmp_path: Path) -> None:
    setup = begun(tmp_path / "next", "task=multitask", f"init.backbone='{run.checkpoint}'")
    trained, begun_with = load_model(run.checkpoint).network.state_dict(), setup.module.network.state_dict()
    for name, tensor in begun_with.items():
        if name.startswith("backbone."):
            torch.testing.assert_close(tensor, trained[name])
    assert not torch.equal(begun_with["heads.segmentation.score.weight"], trained["heads.segmentation.score.weight"])


@pytest.mark.slow
def test_one_head_chosen_by_name_trains_like_a_task(tmp_path: Path) -> None:
    folder = frozen(
        tmp_path / "run", "task=multitask", "head@heads.detection=none", "head@heads.classification=none",
        "task.monitor=segmentation/mIoU", "data.workers=0",
    )  # fmt: skip
    fit(folder)
    result = json.loads((folder / "result.json").read_text())
    assert result["monitor"] == "val/mIoU"
    assert {"val/mIoU", "val/mIoU_foreground"} <= set(result["trivial"])
    found = visionkit.load(folder / "checkpoints/best.ckpt").predict(np.zeros((32, 32, 3), np.uint8))
    assert found.mask.shape == (32, 32)  # and no dict


@pytest.mark.slow
def test_auxiliary_classifiers_are_of_the_heads_that_take_them(tmp_path: Path) -> None:
    setup = begun(
        tmp_path / "run", "task=multitask", "backbone=googlenet", "data.size=64", "heads.multilabel.weight=1",
        "head@heads.multilabel=multilabel",
    )  # fmt: skip
    network = setup.module.network
    assert len(network.heads["classification"].auxiliary_classifiers) == 2
    batch = next(iter(setup.data.train_dataloader()))
    _, logged = setup.module._losses("train", network.train()(batch.images, batch.targets), batch)
    assert "train/classification/auxiliary_cross_entropy" in logged
    assert "train/multilabel/auxiliary_binary_cross_entropy" in logged
