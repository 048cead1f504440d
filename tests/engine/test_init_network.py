"""torchvision's whole networks load into ours, part by part, and say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import fcos_resnet50_fpn
from torchvision.models.segmentation import fcn_resnet50

from tests.trainings import composed
from visionkit.config.frozen import plain
from visionkit.engine import build, launch, weights
from visionkit.engine.weights import networks, sources
from visionkit.engine.weights.report import Report
from visionkit.errors import ConfigError, UserError
from visionkit.models.network import Network

SIZE = (128, 256)
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
FILES = {"fcos_resnet50_fpn": "fcos_resnet50_fpn_coco-99b0c9b7.pth", "fcn_resnet50": "fcn_resnet50_coco-1167a1af.pth"}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's own cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def _random(model: nn.Module) -> nn.Module:
    """Draw every tensor so that no two layers could be swapped unseen and the maps keep their size."""
    torch.manual_seed(3)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.3 if name.endswith("bn3") else 0.5, 0.5 if name.endswith("bn3") else 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def _fcos(num_classes: int) -> nn.Module:
    model = _random(fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=num_classes))
    regression = model.head.regression_head
    nn.init.normal_(regression.bbox_reg.weight, std=0.01)
    nn.init.uniform_(regression.bbox_reg.bias, 1, 4)  # some distances are cut off at 0, most are not
    nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.02)
    nn.init.uniform_(model.head.classification_head.cls_logits.bias, -4, -1)
    model.transform.min_size, model.transform.max_size = (SIZE[0],), SIZE[1]
    return model


def _begin(name: str, num_classes: int, *overrides: str) -> tuple[Network, Report]:
    config: dict[str, Any] = plain(composed(f"experiment={name}", *overrides))
    names = {config["name"]: tuple(map(str, range(num_classes)))}
    network = build.build_network(build.network_node(config), names).eval()
    report = weights.apply(config, network)
    assert report is not None
    return network, report


def _old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name the pyramid's tensors as files from before torchvision 0.13 do."""
    return {name.replace("_blocks.0.0.", "_blocks.0.").replace("_blocks.1.0.", "_blocks.1.")
            .replace("_blocks.2.0.", "_blocks.2."): value for name, value in state.items()}  # fmt: skip


@pytest.mark.parametrize("old", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_fcos_gives_torchvisions_boxes(cache: Path, old: bool) -> None:
    model = _fcos(5)
    state = model.state_dict()
    if old:  # frozen normalisations count no batches, either
        state = {k: v for k, v in _old_names(state).items() if "num_batches" not in k}
        assert "backbone.fpn.inner_blocks.0.weight" in state
    torch.save(state, cache / FILES["fcos_resnet50_fpn"])
    limits = ("head.max_candidates=100000", "head.max_detections=100000")
    network, report = _begin("fcos_resnet50_fpn", 5, *limits)
    assert report.fits
    assert not report.unused
    assert len(report.loaded) == len(state)
    own = {n for n in network.state_dict() if n not in ("mean", "std") and not n.endswith("num_batches_tracked")}
    assert own <= set(report.loaded)
    model.topk_candidates = model.detections_per_img = 100000
    images = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = model([image.float() / 255 for image in images])
        found = network.decode(network(images))["detection"]
    for index, expected in enumerate(theirs):
        mine = found.image == index
        solid = (expected["boxes"][:, 2:] > expected["boxes"][:, :2]).all(1)  # we drop boxes without area
        assert 100 < len(expected["boxes"]) < 5000
        assert set(expected["labels"].tolist()) == {0, 1, 2, 3, 4}
        label, score, boxes = found.label[mine], found.score[mine], found.boxes[mine]
        other = [expected[key][solid] for key in ("labels", "scores", "boxes")]
        assert (score.diff() <= 0).all()
        # Scores that are equal but for rounding may come in another order: each box beside the nearest of its class.
        apart = torch.cdist(boxes, other[2], p=torch.inf) + 1e6 * (label[:, None] != other[0])
        nearest = apart.argmin(1)
        assert sorted(nearest.tolist()) == list(range(len(boxes)))
        torch.testing.assert_close(boxes, other[2][nearest], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(score, other[1][nearest], rtol=0, atol=1e-4)


@pytest.mark.parametrize("auxiliary", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_fcn_gives_torchvisions_logits(cache: Path, auxiliary: bool) -> None:
    model = _random(fcn_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=auxiliary))
    torch.save(model.state_dict(), cache / FILES["fcn_resnet50"])
    network, report = _begin("fcn_resnet50", 21)
    assert report.fits
    assert {name.split(".")[0] for name in report.unused} == ({"aux_classifier"} if auxiliary else set())
    images = torch.randint(0, 256, (2, 3, 75, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalised = (images.float() / 255 - MEAN[:, None, None]) / STD[:, None, None]
    with torch.no_grad():
        theirs = model(normalised)["out"]
        ours = network.decode(network(images))["segmentation"].logits
    assert ours.shape == (2, 21, 75, 90)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


def test_another_number_of_classes_says_what_to_type_and_then_leaves_the_last_layer_random(cache: Path) -> None:
    model = _fcos(91)
    torch.save(model.state_dict(), cache / FILES["fcos_resnet50_fpn"])
    launch.check(composed("experiment=fcos_resnet50_fpn", "data.size=128"))  # the data's classes are not known yet
    with pytest.raises(UserError, match=r"for 91 classes, yours for 3; give init\.strict=false") as raised:
        _begin("fcos_resnet50_fpn", 3)
    assert "heads.detection.class_logits.weight" in str(raised.value)
    network, report = _begin("fcos_resnet50_fpn", 3, "init.strict=false")
    assert {d.name for d in report.different} == {f"heads.detection.class_logits.{x}" for x in ("weight", "bias")}
    assert not report.missing
    assert torch.equal(network.necks["neck"].extra[1].weight, model.backbone.fpn.extra_blocks.p7.weight)


def test_other_parts_are_told_which_experiment_has_them(cache: Path) -> None:
    given = ("task=detection", "backbone=resnet18", "init.network=torchvision:fcos_resnet50_fpn", "data.size=64")
    match = r"experiment=fcos_resnet50_fpn has the parts that these weights are of"
    with pytest.raises(ConfigError, match=match) as before_any_download:
        launch.check(composed(*given))
    assert "remove it" not in str(before_any_download.value)
    launch.check(composed("experiment=fcos_resnet50_fpn", "data.size=128"))
    state = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2).state_dict()
    torch.save(state, cache / FILES["fcos_resnet50_fpn"])
    with pytest.raises(ConfigError, match=f"{match}.*remove it"):
        launch.check(composed(*given))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["init.network=torchvision:fcos_resnet50_fpm"], "did you mean init.network=torchvision:fcos_resnet50_fpn?"),
        (
            ["init.network=imagenet"],
            "init.network=imagenet is unknown; it takes torchvision:fcos_resnet50_fpn, ",
        ),
        (
            ["init.network=torchvision:fcn_resnet50", "init.backbone=imagenet", "backbone=resnet18"],
            "init.backbone=imagenet and init.network=torchvision:fcn_resnet50 contradict each other",
        ),
    ],
)
def test_typos_and_contradictions(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        launch.check(composed(*overrides))
    assert said in str(raised.value)


@pytest.mark.parametrize("name", list(networks.MAPPED))
def test_every_entry_has_published_weights_and_an_experiment(name: str) -> None:
    found = sources.of_network(f"torchvision:{name}")
    assert FILES[name] == Path(found.weights.url).name
    config = plain(composed(f"experiment={networks.MAPPED[name].experiment}"))
    assert config["init"]["network"] == f"torchvision:{name}"


def test_training_measures_from_the_points_that_the_weights_were_trained_on() -> None:
    config = plain(composed("experiment=fcos_resnet50_fpn"))
    with torch.device("meta"):
        network = build.build_network(build.network_node({**config, "init": {"backbone": None, "network": None}}),
                                      {"detection": ("a", "b")})  # fmt: skip
    head = network.heads["detection"]
    assert head.scales is None
    head.to_empty(device="cpu")
    outputs = head([torch.zeros(1, 256, 2, 3)] + [torch.zeros(1, 256, 1, 1)] * 4, (16, 24))
    assert outputs.points[:6].tolist() == [[0, 0], [8, 0], [16, 0], [0, 8], [8, 8], [16, 8]]
