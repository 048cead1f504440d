"""Published weights are asked for, found, folded into the normalisation and reported; no connection is opened."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision.models import ResNet18_Weights, WeightsEnum, get_model

from tests.trainings import composed, frozen
from visionkit.config.frozen import plain, thaw
from visionkit.engine import build, launch, weights
from visionkit.engine.checkpoint import load_model
from visionkit.engine.fit import fit
from visionkit.engine.setup import set_up
from visionkit.errors import ConfigError, UserError
from visionkit.models.backbones.torchvision import Torchvision, expected_input

IMAGENET = ["init.backbone=imagenet", "backbone=resnet18"]
NAMES = {"googlenet": "inception5b", "inception_v3": "Mixed_7c"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's own cache, empty, and no network behind it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("LOCAL_RANK", raising=False)

    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise URLError("no network in this test")

    monkeypatch.setattr("visionkit.engine.weights.download.urlopen", refuse)
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the log says."""
    monkeypatch.setattr(logging.getLogger("visionkit"), "propagate", True)
    caplog.set_level(logging.INFO, logger="visionkit")
    return caplog


def _model(name: str, **arguments: Any) -> torch.nn.Module:
    """torchvision's own network with random weights and statistics that are not their defaults."""
    torch.manual_seed(1)
    model = get_model(name, **arguments).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def _file_name(name: str) -> str:
    return Path(_published(name).url).name


def _published(name: str) -> WeightsEnum:
    found = weights.published({"_target_": weights.TORCHVISION, "name": name})
    assert found is not None
    return found


def _config(*overrides: str) -> dict[str, Any]:
    return plain(composed(*overrides))


def _short(name: str = "resnet18", **arguments: Any) -> torch.nn.Module:
    """A network that has no more than a ResNet's first level."""
    module = torch.nn.Module()
    module.backbone = Torchvision(name, {"layer1": [64 if name == "resnet18" else 256, 4]}, **arguments)
    return module


def test_a_file_in_the_cache_gives_torchvisions_features(cache: Path, said: pytest.LogCaptureFixture) -> None:
    model = _model("resnet18")
    torch.save(model.state_dict(), cache / "resnet18-f37072fd.pth")
    config = _config(*IMAGENET)
    node = build.network_node(config)
    network = build.build_network(node, {"classification": ("a", "b")}).eval()
    weights.apply(config, network)
    images = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    preset = ResNet18_Weights.DEFAULT.transforms(crop_size=224, resize_size=224)
    with torch.no_grad():
        ours = network.features(network.normalize(images))
        x = model.maxpool(stem := model.relu(model.bn1(model.conv1(preset(images)))))
        theirs = [stem]
        for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
            theirs.append(x := layer(x))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    assert f"{len(model.state_dict()) - 2} tensors loaded" in said.text
    assert "not used of the file, as nothing here needs them: fc.weight, fc.bias" in said.text
    assert "still random" not in said.text


@pytest.mark.parametrize("name", list(NAMES))
def test_transform_input_is_folded_into_the_normalisation(
    cache: Path, said: pytest.LogCaptureFixture, name: str
) -> None:
    model = _model(name, transform_input=True, init_weights=False)
    torch.save(model.state_dict(), cache / _file_name(name))
    config = _config("init.backbone=imagenet", f"backbone={name}")
    network = build.build_network(build.network_node(config), {"classification": ("a", "b")}).eval()
    weights.apply(config, network)
    images = torch.randint(0, 256, (1, 3, 112, 112), dtype=torch.uint8)
    seen: list[torch.Tensor] = []
    model.get_submodule(NAMES[name]).register_forward_hook(lambda _m, _i, out: seen.append(out))
    published = _published(name)
    with torch.no_grad():
        model(published.transforms(crop_size=112, resize_size=112)(images))
        ours = network.features(network.normalize(images))[len(network.backbone.levels) - 1]
    torch.testing.assert_close(ours, seen[0], rtol=1e-3, atol=1e-3 * seen[0].abs().max().item())
    assert "mean [0.5, 0.5, 0.5] and deviation [0.5, 0.5, 0.5]" in said.text
    assert "not used of the file, as nothing here needs them: fc.weight, fc.bias" in said.text
    assert "still random" not in said.text
    _check_auxiliary(model, network.heads["classification"].auxiliary_classifiers, said.text)


def _check_auxiliary(model: torch.nn.Module, classifiers: torch.nn.ModuleList, said: str) -> None:
    """Compare what was loaded into classifiers of two classes with torchvision's of 1000."""
    prefixes = [name for name, _ in model.named_children() if name.lower().startswith("aux")]
    for index, (prefix, classifier) in enumerate(zip(prefixes, classifiers, strict=True)):
        theirs = model.get_submodule(prefix).state_dict()
        assert set(theirs) == set(classifier.state_dict())
        own = {name: value for name, value in classifier.state_dict().items() if torch.equal(value, theirs[name])}
        last = "fc2" if "fc2.weight" in theirs else "fc"
        assert set(theirs) - set(own) == {f"{last}.weight", f"{last}.bias"}
        assert f"auxiliary_classifiers.{index}.{last}.weight (1000 x {theirs[f'{last}.weight'].shape[1]} in" in said
    assert "not used of the file, as it has other classes: heads.classification.auxiliary_classifiers.0." in said


@pytest.mark.parametrize("lacking", [False, True])
def test_auxiliary_classifiers_of_as_many_classes_are_taken_whole_and_may_be_lacking(
    cache: Path, tmp_path: Path, lacking: bool
) -> None:
    model = _model("googlenet", num_classes=3, init_weights=False)
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({name: value for name, value in state.items() if not lacking or ".aux" not in name}, tmp_path / "a.pth")
    config = _config(f"init.backbone={tmp_path}/a.pth", "backbone=googlenet")
    network = build.build_network(build.network_node(config), {"classification": ("a", "b", "c")})
    report = weights.apply(config, network)
    assert report is not None
    assert report.fits
    assert not report.classes
    assert set(report.unused) == {"module.fc.weight", "module.fc.bias"}
    for prefix, classifier in zip(("aux1", "aux2"), network.heads["classification"].auxiliary_classifiers, strict=True):
        for name, value in classifier.state_dict().items():
            if not lacking:
                assert torch.equal(value, state[f"module.{prefix}.{name}"]), name
            elif name.endswith("weight") and value.ndim == 4:
                assert not torch.equal(value, state[f"module.{prefix}.{name}"]), name


def test_normalisation_follows_the_weights_and_the_users_own_figures() -> None:
    own = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    assert weights.normalisation(_config(*IMAGENET)) == (own["mean"], own["std"])
    assert weights.normalisation(_config("backbone=googlenet")) == (own["mean"], own["std"])
    config = _config("init.backbone=imagenet", "backbone=googlenet")
    assert weights.normalisation(config) == ([0.5] * 3, [0.5] * 3)
    # Darker images: a pixel at their mean has to become what ImageNet's mean becomes.
    config["normalize"] = {"mean": [0.1, 0.1, 0.1], "std": [0.05, 0.1, 0.2]}
    mean, std = weights.normalisation(config)
    for channel in range(3):
        for z in (-1.0, 0.0, 2.0):
            pixel = config["normalize"]["mean"][channel] + z * config["normalize"]["std"][channel]
            wanted = (own["mean"][channel] + z * own["std"][channel] - 0.5) / 0.5
            assert (pixel - mean[channel]) / std[channel] == pytest.approx(wanted, abs=1e-6)


def test_weights_that_name_another_input_get_it() -> None:
    assert expected_input(_published("efficientnet_v2_l")) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_the_checkpoint_carries_weights_and_normalisation(cache: Path, tmp_path: Path) -> None:
    torch.save(_model("googlenet", init_weights=False).state_dict(), cache / _file_name("googlenet"))
    run_dir = frozen(
        tmp_path / "run", "backbone=googlenet", "init.backbone=imagenet", "optimizer.lr=0",
        "data.num_scenes=10", "data.batch_size=10",
    )  # fmt: skip
    fit(run_dir)
    for path in cache.iterdir():
        path.unlink()  # loading needs the checkpoint alone
    model = load_model(run_dir / "checkpoints/best.ckpt")
    assert model.manifest["network"]["mean"] == [0.5, 0.5, 0.5]
    assert model.network.mean.flatten().tolist() == [127.5] * 3
    assert model.network.std.flatten().tolist() == [127.5] * 3
    expected = _model("googlenet", init_weights=False).state_dict()["conv1.conv.weight"]
    torch.testing.assert_close(model.network.backbone.body.conv1.conv.weight, expected)  # the learning rate was 0


def test_random_weights_look_at_no_cache(cache: Path, tmp_path: Path) -> None:
    for path in (cache, cache.parent, cache.parent.parent):
        path.rmdir()
    set_up(thaw(frozen(tmp_path / "run", "backbone=resnet18")), tmp_path / "run", progress_bar=False)
    assert not (tmp_path / "torch").exists()


def test_without_network_it_says_which_file_to_put_where(cache: Path, tmp_path: Path) -> None:
    run_dir = frozen(tmp_path / "run", *IMAGENET)
    with pytest.raises(UserError) as raised:
        fit(run_dir)
    assert "resnet18-f37072fd.pth (45 MB) cannot be downloaded" in str(raised.value)
    assert f"put that file into {cache}, or train without init" in str(raised.value)
    assert "no network in this test" in str(raised.value)
    assert not (run_dir / "checkpoints").exists()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"not weights", r"is no file of weights .* remove it, and the next run downloads it again \(45 MB\)"),
        ({"something": torch.zeros(1)}, r"holds nothing of this network's: it has something; here .* remove it"),
        ({"conv1.weight": torch.zeros(1), "bn1.bias": torch.zeros(64)}, r"does not hold weights of this network"),
    ],
)
def test_a_wrong_file_in_the_cache_is_named(cache: Path, content: Any, match: str) -> None:
    path = cache / "resnet18-f37072fd.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=match) as raised:
        weights.apply(_config(*IMAGENET), _short())
    assert str(path) in str(raised.value)


def test_tensors_that_the_file_lacks_are_named(cache: Path, said: pytest.LogCaptureFixture) -> None:
    state = _model("resnet18").state_dict()
    del state["layer1.0.conv1.weight"]
    torch.save(state, cache / "resnet18-f37072fd.pth")
    network = _short()
    with pytest.raises(
        UserError, match=r"1 not in the file: backbone.body.layer1.0.conv1.weight; init.strict=false loads"
    ):
        weights.apply(_config(*IMAGENET), network)
    report = weights.apply(_config(*IMAGENET, "init.strict=false"), network)
    assert "not in the file, so still random: backbone.body.layer1.0.conv1.weight" in said.text
    assert "not used of the file, as nothing here needs them: layer2.0.conv1.weight" in said.text
    assert report is not None
    assert report.missing == ("backbone.body.layer1.0.conv1.weight",)
    assert torch.equal(network.backbone.body.conv1.weight, state["conv1.weight"])


def test_the_other_processes_wait_for_the_first_ones_download(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    state, waits = _model("resnet18").state_dict(), []

    def download(_seconds: float) -> None:
        waits.append(1)
        torch.save(state, cache / "resnet18-f37072fd.pth")

    monkeypatch.setattr("visionkit.engine.weights.download.time.sleep", download)
    network = _short()
    weights.apply(_config(*IMAGENET), network)
    assert len(waits) == 1
    assert torch.equal(network.backbone.body.conv1.weight, state["conv1.weight"])
    monkeypatch.setattr("visionkit.engine.weights.download.LONGEST_WAIT", -1.0)
    (cache / "resnet18-f37072fd.pth").unlink()
    with pytest.raises(UserError, match="did not come"):
        weights.apply(_config(*IMAGENET), network)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["init.backbone=imgnet", "backbone=resnet18"], "did you mean init.backbone=imagenet?"),
        (
            ["init.backbone=coco"],
            "init.backbone=coco is unknown; it takes imagenet (torchvision's ImageNet weights, or timm's)",
        ),
        (
            ["init.backbone=imagenet"],
            "no such weights for this backbone (ConvNet); choose one of torchvision's, such as backbone=resnet18",
        ),
        (["init=imagenet"], "init=imagenet is no weights' place; give init.backbone=imagenet"),
    ],
)
def test_what_cannot_be_served_is_said_before_data_is_read(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        launch.check(composed(*overrides))
    assert said in str(raised.value)


def test_weights_of_colour_images_need_three_channels() -> None:
    config = _config(*IMAGENET, "normalize.mean=[0.5]", "normalize.std=[0.5]")
    with pytest.raises(ConfigError, match=r"normalize\.mean and normalize\.std with 3 numbers each; got \[0\.5\]"):
        build.network_node(config)


def test_every_torchvision_backbone_of_the_config_has_weights_with_a_size() -> None:
    for name in ("resnet18", "resnet50", "vgg11_bn", "vgg16", "googlenet", "inception_v3"):
        published = weights.published(_config(f"backbone={name}")["backbone"])
        assert published is not None
        assert 40 < weights.megabytes(published) < 600
    assert weights.published(_config("backbone=vgg_tiny")["backbone"]) is None
