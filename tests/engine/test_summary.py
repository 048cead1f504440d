"""The summary: a network worked out by hand, published figures, and the command in its formats."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

import visionkit.summary
from tests.conftest import Run
from tests.engine.summarised import composed
from tests.trainings import composed as composed_training
from visionkit.config.frozen import plain
from visionkit.engine import build, checkpoint
from visionkit.engine.summary import tracing
from visionkit.engine.summary.composing import Composed
from visionkit.engine.summary.layers import Summary
from visionkit.engine.summary.showing import summarise
from visionkit.engine.summary.text import WIDTH, text
from visionkit.losses.cross_entropy import CrossEntropy
from visionkit.models.contracts import Backbone
from visionkit.models.heads.linear import LinearHead
from visionkit.models.network import Network
from visionkit.types import Level


class Tiny(Backbone):
    """A strided convolution, a pool and a dilated convolution in two groups."""

    def __init__(self, behind: nn.Module | None = None) -> None:
        super().__init__()
        self.levels = (Level(4, 4),)
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.wide = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False)
        self.behind = behind or nn.Identity()

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.behind(self.wide(self.pool(self.first(images).relu())))]


def tiny(behind: nn.Module | None = None) -> Summary:
    with torch.device("meta"):
        backbone = Tiny(behind)
        head = LinearHead(0.0, 0.3, CrossEntropy(0.0, None), levels=backbone.levels, num_classes=5)
        network = Network(backbone, {}, {"only": head}, {"only": None}, [0.5] * 3, [0.5] * 3)
    return summarise(Composed(network.eval(), "tiny", {}, (8, 12)))


def test_a_network_worked_out_by_hand() -> None:
    summary = tiny()
    images, first, pool, wide, mean, linear = summary.layers

    assert images.memory == 8 * 12 * 3 * (1 + 4)  # as bytes and as numbers, which are normalised in place
    assert (images.view[0].size, images.view[0].centre, images.view[0].jump) == (1, 0.5, 1)

    assert (first.module, first.kind, first.then) == ("backbone.first", "conv", ["relu"])
    assert (first.kernel, first.stride, first.output) == ((3, 3), (2, 2), (4, 4, 6))
    assert first.parameters == 4 * 3 * 9
    assert first.multiply_adds == (4 * 4 * 6) * (3 * 9)
    assert first.memory == 2 * 4 * (4 * 4 * 6)  # the convolution's and, as it is not done in place, the ReLU's
    down = first.view[0]  # a 3 wide window at -1, as one pixel is padded; the next 2 pixels on
    assert (down.first, down.size, down.centre, down.jump) == ((-1, 2), 3, 0.5, 2)

    assert (pool.kind, pool.kernel, pool.stride, pool.output) == ("max pool", (2, 2), (2, 2), (4, 2, 3))
    down = pool.view[0]  # cells 0 and 1: from -1 to 2 and from 1 to 4
    assert (down.first, down.size, down.centre, down.jump) == ((-1, 4), 5, 1.5, 4)
    assert (pool.parameters, pool.multiply_adds, pool.memory) == (0, 0, 4 * (4 * 2 * 3))

    assert (wide.dilation, wide.groups, wide.kind) == ((2, 2), 2, "grouped conv")
    assert wide.parameters == 4 * 2 * 9
    assert wide.multiply_adds == (4 * 2 * 3) * (2 * 9)
    down = wide.view[0]  # cells -2, 0 and 2: from -1 - 8 to 4 + 8
    assert (down.first, down.size, down.centre, down.jump) == ((-9, 12), 21, 1.5, 4)

    assert mean.output == (4,)
    assert all(axis.whole for axis in mean.view)
    assert mean.view[1].first == (-9, 20)  # across, cells 0 to 2
    assert (linear.module, linear.parameters, linear.multiply_adds) == ("heads.only.classifier", 4 * 5 + 5, 4 * 5)
    assert linear.memory == 4 * 5

    assert summary.parameters == 108 + 72 + 25
    assert summary.multiply_adds == 96 * 27 + 24 * 18 + 20
    assert summary.memory == 1440 + 768 + 96 + 96 + 16 + 20
    (level,) = summary.levels
    assert (level.part, level.channels, level.stride, level.output) == ("backbone", 4, 4, (4, 2, 3))
    assert sum(own[1] for own in summary.stages().values()) == summary.multiply_adds
    assert list(summary.stages()) == ["input /1", "backbone /2", "backbone /4", "head, pooled"]


class Rolled(nn.Module):
    """What no rule knows."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.roll(1, 2)


def test_what_no_rule_knows_is_said_to_be_unknown() -> None:
    summary = tiny(Rolled())
    after = summary.layers[4:]
    assert after[0].kind == "roll"
    assert all(layer.view is None for layer in after)
    assert summary.layers[3].view is not None
    assert summary.levels[0].view is None
    assert "unknown" in text(summary)


def test_shared_modules_are_counted_once() -> None:
    network = composed("task=detection", "backbone=resnet_tiny")
    layers = [layer for layer in tracing.run(network, (64, 64))[0].layers if "class_tower.0" in layer.module]
    own = sum(parameter.numel() for parameter in network.get_submodule(layers[0].module).parameters())
    assert [(layer.parameters, layer.shared) for layer in layers] == [(own, False), (0, True), (0, True)]
    assert layers[0].multiply_adds == 4 * layers[1].multiply_adds > 0


# Networks whose classifier is ours, too: torchvision's own count, in thousand millions of multiply-adds.
PUBLISHED = ("resnet18", "resnet50", "wide_resnet50_2", "resnext50_32x4d", "googlenet", "inception_v3", "densenet121",
             "convnext_tiny", "efficientnet_b0")  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_multiply_adds_are_the_published(name: str) -> None:
    weights = get_model_weights(name).DEFAULT
    side = {"inception_v3": 299}.get(name, 224)
    network = composed(f"backbone={name}", "num_classes=1000")
    found = sum(layer.multiply_adds for layer in tracing.run(network, (side, side))[0].layers)
    assert found / 1e9 == pytest.approx(weights.meta["_ops"], rel=2e-3, abs=6e-4)


def test_vgg_with_its_own_classifier_is_the_published() -> None:
    network = composed("backbone=vgg16", "head=vgg", "num_classes=1000")
    summary = summarise(Composed(network, "vgg16", {}, (224, 224)))
    assert summary.parameters == 138_357_544
    assert summary.multiply_adds == 15_470_264_320


def test_resnet_50_is_the_published() -> None:
    summary = summarise(Composed(composed("backbone=resnet50", "num_classes=1000"), "resnet50", {}, (224, 224)))
    assert summary.parameters == summary.trainable == 25_557_032
    assert summary.multiply_adds == 4_089_184_256
    lines = text(summary).splitlines()
    assert max(len(line) for line in lines) <= WIDTH
    assert "parameters           25.6 M (25,557,032)" in lines


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch, cwd: Path) -> None:
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", ["summary", *arguments])
    visionkit.summary.cli()


def test_json_is_all_that_is_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["task=segmentation", "format=json", "size=[64,96]", "num_classes=4"], monkeypatch, tmp_path)
    found = json.loads(capsys.readouterr().out)
    assert found["size"] == [64, 96]
    assert found["layers"][-1]["output"] == [4, 64, 96]
    totals = found["totals"]
    for key in ("parameters", "multiply_adds", "activation_bytes"):
        assert totals[key] == sum(layer[key] for layer in found["layers"])
    assert found["levels"][0]["receptive_field"]["height"]["size"] == 7
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_the_page_is_whole_and_needs_nothing_else(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run([f"task={task}", "backbone=inception_tiny", "format=html", "size=64"], monkeypatch, tmp_path)
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    open_tags: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag not in {"script", "link", "img", "iframe"}
            assert not {"src", "href"} & {name for name, _ in attributes}
            open_tags.append(tag)
            if tag == "meta":
                open_tags.pop()

        def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag == "rect"

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Parser().feed(page)
    assert not open_tags
    assert page.count("<svg") == 2
    assert "prefers-color-scheme: dark" in page
    assert "summary.html" in capsys.readouterr().out


def test_names_are_escaped() -> None:
    from visionkit.engine.summary.page import page

    summary = tiny()
    summary.title, summary.layers[1].module = "<b>", "a<script>&"
    assert "<b>" not in page(summary)
    assert "a&lt;script&gt;&amp;" in page(summary)


def test_the_task_follows_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["backbone=resnet_tiny", "head=fcos", "size=64", "out=a b.txt"], monkeypatch, tmp_path)
    assert "FPN, FCOSHead" in (tmp_path / "a b.txt").read_text(encoding="utf-8").splitlines()[0]


WRONG = {
    "head of another task": (["task=segmentation", "head=fcos"], ["head=fcos makes boxes", "head=unet"]),
    "size": (["size=0"], ["size=0", "[height, width]"]),
    "too small": (["backbone=inception_v3", "size=40"], ["size=40", "give size=", "or more"]),
    "below the stride": (
        ["backbone=resnet18", "size=[64,20]"],
        ["give size=32 or more", "every 32 pixels"],
    ),
    "published and too small": (
        ["backbone=inception_v3", "data.size=[100,40]"],
        ["error: size=[100, 40] is too small", "give size=80 or more or backbone.padding=same"],
    ),
    "another network's levels": (
        ["backbone=resnet18", "backbone.name=resnet50"],
        [
            "backbone: level 1 says 64 channels at stride 4",
            "its map is 256 x 56 x 56",
            "backbone.name",
        ],
    ),
    "classes": (["num_classes=0"], ["num_classes=0", "at least 1"]),
    "format": (["format=pdf"], ["text, json or html"]),
    "ending": (["format=html", "out=a.txt"], ["out=a.html"]),
    "folder": (["format=json", "out=."], ["is a folder", "summary.json"]),
    "no folder": (["format=json", "out=none/a.json"], ["out=none/a.json: there is no folder none"]),
    "no checkpoint": (["checkpoint=none.ckpt"], ["checkpoint=none.ckpt is no file"]),
    "argument": (["+head.wide=1"], ["head.wide"]),
    "dropout": (["head.dropout=2"], ["head: ", "between 0 and 1"]),
    "data": (["data=voc"], ["data"]),
    "key": (["imgsz=64"], ["size"]),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_input_is_answered_plainly(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = WRONG[name]
    with pytest.raises(SystemExit) as ended:
        run(arguments, monkeypatch, tmp_path)
    assert ended.value.code == 2
    answer = capsys.readouterr().err
    assert answer.startswith("error: ")
    for part in expected:
        assert part in answer
    assert "Traceback" not in answer


def test_a_checkpoint_is_summarised_at_its_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = plain(composed_training())
    manifest = checkpoint.manifest({**config, "provenance": {}}, None, {"classification": tuple("abcd")})
    network = build.build_network(manifest["network"], manifest["class_names"])
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"visionkit": manifest, "state_dict": state}, tmp_path / "best.ckpt")

    run(["checkpoint=best.ckpt", "format=json"], monkeypatch, tmp_path)
    found = json.loads(capsys.readouterr().out)
    assert found["size"] == [32, 32]
    assert found["settings"]["num_classes"] == {"classification": 4}
    assert found["totals"]["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    run(["checkpoint=best.ckpt", "format=json", "size=64"], monkeypatch, tmp_path)
    assert json.loads(capsys.readouterr().out)["size"] == [64, 64]
    with pytest.raises(SystemExit) as ended:
        run(["checkpoint=best.ckpt", "backbone=resnet18"], monkeypatch, tmp_path)
    assert ended.value.code == 2
    assert "leave out backbone=resnet18" in capsys.readouterr().err
    stride = network.backbone.levels[-1].stride
    with pytest.raises(SystemExit):
        run(["checkpoint=best.ckpt", f"size=[64,{stride - 1}]"], monkeypatch, tmp_path)
    assert f"size=[64, {stride - 1}] does not fit this network; give size={stride} or more" in capsys.readouterr().err


def test_a_summary_imports_no_training_library(command: Run) -> None:
    done = command("summary", "size=64", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "torch" in imported
    assert not imported & {"lightning", "torchmetrics", "albumentations", "wandb", "cv2", "sklearn"}
