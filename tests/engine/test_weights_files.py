"""Weights out of files: every form of them, names, channels, strictness, safety, and what is said."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model

from tests.trainings import composed, frozen
from visionkit.config.frozen import plain
from visionkit.engine import build, launch, weights
from visionkit.engine.fit import fit
from visionkit.engine.weights import files, fitting
from visionkit.engine.weights.report import Report
from visionkit.errors import ConfigError, UserError
from visionkit.models.network import Network

RESNET = "backbone=resnet18"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the log says."""
    monkeypatch.setattr(logging.getLogger("visionkit"), "propagate", True)
    caplog.set_level(logging.INFO, logger="visionkit")
    return caplog


@pytest.fixture(scope="module")
def resnet18() -> dict[str, Tensor]:
    """Random tensors by torchvision's names."""
    torch.manual_seed(1)
    return {name: value.clone() for name, value in get_model("resnet18").state_dict().items()}


def _config(*overrides: str) -> dict[str, Any]:
    return plain(composed(*overrides))


def _network(config: dict[str, Any]) -> Network:
    torch.manual_seed(0)
    return build.build_network(build.network_node(config), {config["name"]: ("a", "b")})


def _begin(*overrides: str) -> tuple[Network, Report]:
    config = _config(*overrides)
    network = _network(config)
    report = weights.apply(config, network)
    assert report is not None
    return network, report


def _safetensors(state: dict[str, Tensor], path: Path) -> Path:
    save_file(state, path := path.with_suffix(".safetensors"))
    return path


def _torch(wrap: Callable[[dict[str, Tensor]], Any]) -> Callable[[dict[str, Tensor], Path], Path]:
    def save(state: dict[str, Tensor], path: Path) -> Path:
        torch.save(wrap(state), path)
        return path

    return save


def _prefixed(prefix: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {prefix + name: value for name, value in state.items()}


FORMS = {
    "plain": _torch(lambda state: state),
    "safetensors": _safetensors,
    "legacy": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False) or path,
    "state_dict": _torch(lambda state: {"state_dict": state, "epoch": 3}),
    "model": _torch(lambda state: {"model": state}),
    "model_state_dict": _torch(lambda state: {"model_state_dict": state}),
    "module.": _torch(_prefixed("module.")),
    "backbone.body.": _torch(_prefixed("backbone.body.")),
    "network.backbone.": _torch(_prefixed("network.backbone.")),
    "a detector": _torch(lambda state: {**_prefixed("backbone.body.")(state), "head.weight": torch.zeros(3)}),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_of_a_file_fills_the_backbone(form: str, tmp_path: Path, resnet18: dict[str, Tensor]) -> None:
    path = FORMS[form](resnet18, tmp_path / "mine, (1) x=y.pth")
    network, report = _begin(RESNET, f"init.backbone='{path}'")
    own = network.backbone.state_dict()
    assert len(own) == len(report.loaded) == 120
    for name, value in own.items():
        assert torch.equal(value, resnet18[name.removeprefix("body.")]), name
    assert report.fits
    assert {name.rpartition("fc.")[2] for name in report.unused} >= {"weight", "bias"}
    assert not report.missing


def test_a_bare_file_leaves_the_normalisation_and_says_so(
    tmp_path: Path, resnet18: dict[str, Tensor], said: pytest.LogCaptureFixture
) -> None:
    torch.save(resnet18, tmp_path / "a.pth")
    network, _ = _begin(RESNET, f"init.backbone={tmp_path}/a.pth", "normalize.mean=[0.1,0.2,0.3]")
    torch.testing.assert_close(network.mean.flatten(), 255 * torch.tensor([0.1, 0.2, 0.3]))
    assert "does not say which pixels it wants: normalize stays, mean=[0.1, 0.2, 0.3]" in said.text


def test_counters_that_old_files_lack_are_no_mismatch(tmp_path: Path, resnet18: dict[str, Tensor]) -> None:
    torch.save({n: v for n, v in resnet18.items() if "num_batches" not in n}, tmp_path / "a.pth")
    _, report = _begin(RESNET, f"init.backbone={tmp_path}/a.pth")
    assert len(report.loaded) == 100
    assert report.fits


def test_counters_of_foreign_layers_are_not_told(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    torch.save(get_model("resnet34", num_classes=2).state_dict(), tmp_path / "a.pth")
    _, report = _begin(RESNET, f"init.backbone={tmp_path}/a.pth", "init.strict=false")
    assert len(report.loaded) == 120
    assert "layer3.5.bn2.running_var" in report.foreign
    assert {"layer4.2.conv1.weight", "fc.weight"} <= set(report.unused)
    assert not any(name.endswith("num_batches_tracked") for name in (*report.unused, *report.foreign))
    assert "num_batches_tracked" not in said.text


def test_a_checkpoint_is_read_once_for_its_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ckpt"
    config = _config()
    config["init"]["backbone"] = str(path)
    read, reads = files.read, []
    monkeypatch.setattr(files, "read", lambda *given, **named: reads.append(1) or read(*given, **named))
    for turn, mean in enumerate((0.25, 0.5), start=1):
        figures = {"mean": [mean] * 3, "std": [0.1] * 3}
        torch.save({"visionkit": {"network": figures}, "state_dict": {}}, path)
        os.utime(path, (turn, turn))
        for _ in range(3):
            found = weights.normalisation(config)
            assert found[0] != config["normalize"]["mean"]
            found[0].clear()  # what one caller does with them is nothing to the next
        assert len(reads) == turn
    assert weights.normalisation(
        {**config, "normalize": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}
    ) == (
        [0.5] * 3,
        [0.1] * 3,
    )


def test_a_checkpoint_of_another_task_gives_backbone_and_normalisation(tmp_path: Path) -> None:
    figures = ("normalize.mean=[0.2,0.3,0.4]", "normalize.std=[0.3,0.2,0.1]")
    first = frozen(tmp_path / "first", "task=segmentation", *figures)
    fit(first)
    best = first / "checkpoints/best.ckpt"
    expected = torch.load(best, weights_only=True)["state_dict"]
    given = ("task=detection", f"init.backbone={best}", "optimizer.lr=0", "freeze.norm=true")
    second = frozen(tmp_path / "second", *given)
    launch.check(composed(*given))
    fit(second)
    found = torch.load(second / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    for name in (name for name in expected if name.startswith("network.backbone.")):
        assert torch.equal(found[name], expected[name]), name
    torch.testing.assert_close(found["network.mean"], expected["network.mean"])
    torch.testing.assert_close(found["network.std"], expected["network.std"])
    kept = json.loads((second / "weights.json").read_text())
    assert kept["source"] == f"init.backbone={best}"
    assert kept["file"] == str(best)
    assert len(kept["loaded"]) == sum(name.startswith("network.backbone.") for name in expected)
    assert kept["missing"] == kept["different"] == kept["foreign"] == []
    assert any(name.startswith("heads.segmentation.") for name in kept["unused"])
    assert not (first / "weights.json").exists()


@pytest.mark.parametrize(
    ("name", "backbone", "match"),
    [
        (
            "resnet34",
            "resnet18",
            r"\d+ in the file, but of a network that is built otherwise: layer1\.2\.conv1\.weight",
        ),
        (
            "resnet50",
            "resnet18",
            r"\(64 x 64 x 1 x 1 in the file, 64 x 64 x 3 x 3 here\)",
        ),
        pytest.param(
            "resnet18",
            "resnet50",
            r"of another shape: .* \(64 x 64 x 3 x 3 in",
            marks=pytest.mark.slow,
        ),
        ("resnet18", "vgg11_bn", "holds nothing of this network's"),
        pytest.param("vgg11", "vgg11_bn", "init.strict=false loads", marks=pytest.mark.slow),
    ],
)
def test_another_architecture_is_refused_before_data_is_read(
    tmp_path: Path, name: str, backbone: str, match: str
) -> None:
    state = get_model(name, num_classes=2).state_dict()
    torch.save({key: value for key, value in state.items() if "classifier" not in key}, tmp_path / "a.pth")
    with pytest.raises(ConfigError, match=match) as raised:
        launch.check(composed(f"backbone={backbone}", f"init.backbone={tmp_path}/a.pth", "data.size=64"))
    assert "a.pth" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_without_strict_what_fits_is_loaded_and_the_rest_stays_random(
    tmp_path: Path, resnet18: dict[str, Tensor], said: pytest.LogCaptureFixture
) -> None:
    state = {**resnet18, "layer4.0.conv1.weight": torch.zeros(512, 256, 1, 1), "layer9.x": torch.zeros(1)}
    del state["layer3.1.bn1.weight"]
    torch.save(state, tmp_path / "a.pth")
    given = (RESNET, f"init.backbone={tmp_path}/a.pth")
    with pytest.raises(
        UserError, match=r"1 not in the file: backbone\.body\.layer3\.1\.bn1\.weight; 1 of another shape"
    ) as e:
        _begin(*given)
    assert "init.strict=false loads the 118 tensors that fit" in str(e.value)
    random = _network(_config(RESNET)).state_dict()
    network, report = _begin(*given, "init.strict=false")
    own = network.state_dict()
    left = {"backbone.body.layer4.0.conv1.weight", "backbone.body.layer3.1.bn1.weight"}
    assert set(report.missing) | {d.name for d in report.different} == left
    for name in (n for n in own if n.startswith("backbone.body.")):
        expected = random[name] if name in left else state[name.removeprefix("backbone.body.")]
        assert torch.equal(own[name], expected), name
    assert (
        "of another shape, so still random: backbone.body.layer4.0.conv1.weight (512 x 256 x 1 x 1 in the file"
        in said.text
    )
    assert report.as_json()["different"][0]["network"] == [512, 256, 3, 3]


def test_one_channel_sees_in_grey_what_three_saw(tmp_path: Path, resnet18: dict[str, Tensor]) -> None:
    torch.save(resnet18, tmp_path / "a.pth")
    given = (RESNET, f"init.backbone={tmp_path}/a.pth", "normalize.mean=[0.4,0.5,0.6]", "normalize.std=[0.2,0.25,0.3]")
    colour, _ = _begin(*given)
    grey, report = _begin(*given, "backbone.in_channels=1")
    assert grey.mean.shape == (1, 1, 1, 1)
    assert grey.mean.item() == pytest.approx(255 * 0.5)
    assert grey.std.item() == pytest.approx(255 * 0.25)
    assert report.adapted is not None
    assert "the sum of its filters over the colours" in report.adapted
    z = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        for one, three in zip(grey.eval().features(z), colour.eval().features(z.expand(1, 3, 32, 32)), strict=True):
            torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_more_channels_repeat_the_filters_and_keep_the_sum(channels: int) -> None:
    weight = torch.rand(5, 3, 3, 3)
    wide = fitting.adapt(weight, channels)
    assert wide.shape == (5, channels, 3, 3)
    for channel in range(channels):
        torch.testing.assert_close(wide[:, channel], weight[:, channel % 3] * 3 / channels)


def test_the_first_convolution_is_found_by_its_shape_in_a_convnet(tmp_path: Path) -> None:
    source = _network(_config("backbone=resnet_tiny")).backbone
    torch.save(source.state_dict(), tmp_path / "a.pth")
    network, report = _begin("backbone=resnet_tiny", f"init.backbone={tmp_path}/a.pth", "backbone.in_channels=4")
    first = next(m for m in network.backbone.modules() if isinstance(m, nn.Conv2d)).weight
    theirs = next(m for m in source.modules() if isinstance(m, nn.Conv2d)).weight
    torch.testing.assert_close(first, theirs[:, [0, 1, 2, 0]] * 0.75)
    assert len(report.loaded) == len(source.state_dict())
    assert network.mean.flatten().tolist() == pytest.approx([255 * (0.485 + 0.456 + 0.406) / 3] * 4)


def test_colour_images_do_not_meet_other_channels() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.in_channels=1 .*images.* 3 channels"):
        launch.check(composed("backbone=resnet_tiny", "backbone.in_channels=1"))


class _Planted:
    """What runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


def _broken(folder: Path) -> dict[str, Path]:
    state = {f"conv{i}.weight": torch.zeros(64, 3, 7, 7) for i in range(9)}
    torch.save(state, folder / "whole.pth")
    save_file(state, folder / "whole.safetensors")
    for suffix in ("pth", "safetensors"):
        whole = (folder / f"whole.{suffix}").read_bytes()
        (folder / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    (folder / "text.pth").write_text("hello\n")
    (folder / "text.safetensors").write_text("hello, this is a text\n")
    (folder / "empty.pth").write_bytes(b"")
    (folder / "folder.pth").mkdir()
    torch.save({"conv1.weight": torch.zeros(1), "x": _Planted(folder / "ran")}, folder / "code.pth")
    (folder / "pickle.pth").write_bytes(pickle.dumps(_Planted(folder / "ran")))
    torch.save(nn.Linear(2, 2), folder / "module.pth")
    torch.save([torch.zeros(2)], folder / "list.pth")
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("cut.pth", "only a part of one"),
        ("cut.safetensors", "only a part of one|cannot be read as weights"),
        ("text.pth", "is no file of weights"),
        ("text.safetensors", "is no safetensors file"),
        ("empty.pth", "is no file of weights"),
        ("folder.pth", "is a folder"),
        ("missing.pth", "is no file; give the path"),
        ("code.pth", r"holds more than tensors \(\w+\.system\); it is not opened"),
        ("pickle.pth", "pickle.pth holds more than tensors.* it is not opened"),
        ("module.pth", r"holds more than tensors \(torch\.nn\.modules\.linear\.Linear\)"),
        ("list.pth", "holds no tensors by name"),
    ],
)
def test_a_bad_file_is_named_before_data_is_read_and_nothing_of_it_runs(tmp_path: Path, name: str, match: str) -> None:
    _broken(tmp_path)
    with pytest.raises(ConfigError, match=match) as raised:
        launch.check(composed(RESNET, f"init.backbone={tmp_path / name}"))
    assert name in str(raised.value)
    assert "weights_only" not in str(raised.value)  # torch's own advice would run the code
    with pytest.raises(UserError, match=match):
        files.read(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_the_plant_would_run_if_it_were_unpickled(tmp_path: Path) -> None:
    _broken(tmp_path)
    torch.load(tmp_path / "code.pth", weights_only=False)
    assert (tmp_path / "ran").exists()


def test_named_entries_of_torchvisions_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    state = get_model("resnet50", num_classes=2).state_dict()
    torch.save(state, folder / "resnet50-11ad3fa6.pth")  # what IMAGENET1K_V2 is called
    network, report = _begin("backbone=resnet50", "init.backbone=IMAGENET1K_V2")
    assert report.file.endswith("resnet50-11ad3fa6.pth")
    assert torch.equal(network.backbone.body.conv1.weight, state["conv1.weight"])
    with pytest.raises(
        ConfigError, match=r"did you mean init\.backbone=IMAGENET1K_V2\?.* IMAGENET1K_V1, IMAGENET1K_V2"
    ):
        launch.check(composed("backbone=resnet50", "init.backbone=IMAGENET1K_V3"))


@pytest.mark.parametrize("name", ["resnet18", pytest.param("googlenet", marks=pytest.mark.slow)])
def test_a_convnet_takes_torchvisions_files(tmp_path: Path, name: str) -> None:
    arguments = {"init_weights": False} if name == "googlenet" else {}
    torch.save(state := get_model(name, **arguments).state_dict(), tmp_path / "a.pth")
    network, report = _begin(f"backbone=convnet_{name}", f"init.backbone={tmp_path}/a.pth")
    assert report.fits
    assert len(report.loaded) == len(network.backbone.state_dict())
    assert {unused.split(".")[0] for unused in report.unused} <= {"fc", "aux1", "aux2"}
    first = next(m for m in network.backbone.modules() if isinstance(m, nn.Conv2d)).weight
    assert torch.equal(first, next(value for value in state.values() if value.ndim == 4))


@pytest.mark.parametrize(
    "name",
    ["resnet18", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tf_efficientnet_lite0", "convnext_atto"))],
)
def test_timms_own_weights_come_through_its_loader(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    create, asked = timm.create_model, []

    def offline(wanted: str, pretrained: bool = False, **arguments: Any) -> nn.Module:
        asked.append((wanted, pretrained))
        return create(wanted, pretrained=False, **arguments)

    monkeypatch.setattr(timm, "create_model", offline)
    launch.check(composed("backbone=timm", f"backbone.name={name}", "init.backbone=imagenet", "data.size=64"))
    assert (name, True) not in asked  # nothing is fetched by a check
    network, report = _begin("backbone=timm", f"backbone.name={name}", "init.backbone=imagenet")
    assert asked.count((name, True)) == 1
    assert report.fits
    assert len(report.loaded) == len(network.backbone.state_dict())
    figures = timm.models.get_pretrained_cfg(name)
    assert network.mean.flatten().tolist() == pytest.approx([255 * value for value in figures.mean])
    assert network.std.flatten().tolist() == pytest.approx([255 * value for value in figures.std])
    assert (name != "tf_efficientnet_lite0") or figures.mean == (0.5, 0.5, 0.5)


def test_timm_that_cannot_fetch_is_told_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    create = timm.create_model

    def refuse(name: str, pretrained: bool = False, **arguments: Any) -> nn.Module:
        if pretrained:
            raise OSError("no network in this test")
        return create(name, **arguments)

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(UserError, match=r"timm cannot bring its weights of resnet18 \(no network in this test\)"):
        _begin("backbone=timm", "backbone.name=resnet18", "init.backbone=imagenet")
