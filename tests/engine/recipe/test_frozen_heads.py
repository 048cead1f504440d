"""A head is added to a trained network, whose own heads go on to say the same, to the bit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainings import composed, frozen
from visionkit.config.frozen import plain, thaw
from visionkit.engine import build, checkpoint, launch
from visionkit.engine.setup import Setup, set_up
from visionkit.errors import ConfigError, UserError

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ("data.num_scenes=20", "optimizer.lr=0.01", "optimizer.weight_decay=0.5")
KEPT = {
    "classification": ("backbone=resnet_tiny", "+normalize.mean=[0.4,0.5,0.6]", "head@heads.segmentation=fcn"),
    "detection": ("head@heads.segmentation=none",),
    "segmentation": ("head@heads.detection=none",),
}
"""By the head that is there first: what is chosen besides; classification comes, with what follows, in each."""


def _trained(folder: Path, *overrides: str) -> Setup:
    run = frozen(folder, *QUICK, *overrides)
    setup = set_up(thaw(run), run, progress_bar=False)
    setup.trainer.fit(setup.module, setup.data)
    return setup


def _best(setup: Setup) -> str:
    return str(setup.best.best_model_path)


@torch.inference_mode()
def _outputs(path: str, data: Any, head: str) -> list[Tensor]:
    network = checkpoint.load_model(path).network
    return [tensor for batch in data.val_dataloader() for tensor in network(batch.images)[head]]


def _metrics(setup: Setup, path: str, head: str) -> dict[str, float]:
    setup.module.network.load_state_dict(checkpoint.network_state(checkpoint.read(Path(path))))
    found = setup.trainer.validate(setup.module, setup.data, verbose=False)[0]
    return {name.rpartition("/")[2]: value for name, value in found.items() if name != "val/loss" and head in name}


@pytest.mark.parametrize("head", ["classification", "detection", pytest.param("segmentation", marks=pytest.mark.slow)])
def test_the_first_heads_results_stay_to_the_bit(tmp_path: Path, head: str, caplog: pytest.LogCaptureFixture) -> None:
    chosen = [given.lstrip("+") for given in KEPT[head] if "@" not in given]
    heads = [given for given in KEPT[head] if "@" in given]
    first = _trained(tmp_path / "first", f"task={head}", *chosen)
    with caplog.at_level(logging.INFO):
        both = _trained(
            tmp_path / "both", "task=multitask", *heads, *(c for c in chosen if "normalize" not in c),
            f"init.network={_best(first)}", "freeze.stages=all", f"freeze.heads=[{head}]",
        )  # fmt: skip
    assert "begin at random, as the file has none of them: " in caplog.text
    before, after = (_outputs(_best(setup), first.data, head) for setup in (first, both))
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    own = _metrics(first, _best(first), "")
    again = _metrics(both, _best(both), f"/{head}/")
    assert own == {name: again[name] for name in own}
    report = both.begun_with
    assert report is not None
    assert report.fits
    others = [name for name in both.tasks if name != head]
    assert {name.split(".")[1] for name in report.new if name.startswith("heads.")} == set(others)


def test_only_what_is_not_kept_learns(tmp_path: Path) -> None:
    """Of a checkpoint of several heads one is kept with its neck, one learns on, and a third is new."""
    first = _trained(tmp_path / "first", "task=multitask", "head@heads.classification=none", "epochs=1")
    run = frozen(
        tmp_path / "next", *QUICK, "task=multitask", f"init.network={_best(first)}", "freeze.stages=all",
        "freeze.heads=[detection]",
    )  # fmt: skip
    setup = set_up(thaw(run), run, progress_bar=False)
    network = setup.module.network
    begun = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    held = checkpoint.network_state(checkpoint.read(Path(_best(first))))
    assert all(torch.equal(begun[name], tensor) for name, tensor in held.items())
    setup.trainer.fit(setup.module, setup.data)
    changed = {
        ".".join(name.split(".")[:2]) for name, tensor in network.state_dict().items()
        if not torch.equal(begun[name], tensor)
    }  # fmt: skip
    assert changed == {"heads.classification", "heads.segmentation"}
    optimized = sum(p.numel() for group in setup.trainer.optimizers[0].param_groups for p in group["params"])
    assert optimized == sum(p.numel() for name in changed for p in network.get_submodule(name).parameters())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of the task detection."""
    return _best(_trained(tmp_path_factory.mktemp("trained") / "run", "task=detection", "epochs=1"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["task=multitask", "freeze.heads=[detecton]"], "there is no head 'detecton'; did you mean 'detection'?"),
        (["task=multitask", "freeze.heads=detection"], "freeze.heads=detection is no list of names"),
        (["task=multitask", "freeze.heads=[segmentation]"], "has no head of this name"),
        (["task=detection", "freeze.heads=[detection]", "freeze.stages=all"], "leave nothing to learn"),
        (["task=detection", "freeze.heads=[detection]", "init.network=null"], "would keep random weights"),
        (["task=multitask", "heads.detection.num_convs=3"], "not in the file: heads.detection.class_tower"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_data_is_read(trained: str, overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        launch.check(composed(f"init.network={trained}", *overrides))
    assert said in str(raised.value)


def test_other_classes_are_refused(trained: str, tmp_path: Path) -> None:
    run = frozen(
        tmp_path / "run", "task=multitask", f"init.network={trained}", "data.classes=[1,2,3]",
        "head@heads.segmentation=none",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"detection knows the classes 0, 1, .*, 9 there and 1, 2, 3 here"):
        set_up(thaw(run), run, progress_bar=False)


def test_a_file_of_other_weights_is_no_network(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(9)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"holds no network of visionkit; give a best\.ckpt"):
        launch.check(composed(f"init.network={tmp_path / 'other.pth'}"))


def test_the_backbone_rounds_its_maps_as_the_checkpoints_did(tmp_path: Path) -> None:
    """A backbone whose padding the heads decide would else give the kept ones other maps."""
    path = tmp_path / "best.ckpt"
    for padding in ("published", "same"):
        node = {"backbone": {"padding": padding}, "mean": [0.5] * 3, "std": [0.5] * 3}
        torch.save({"visionkit": {"network": node}, "state_dict": {}}, path)
        for task in ("classification", "multitask"):
            config = plain(composed(f"task={task}", "backbone=vgg11", f"init.network={path}"))
            assert build.backbone_node(config)["padding"] == padding
