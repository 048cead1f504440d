"""The controls are what they claim to be: linear, or random and frozen, and trained by a config that fits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.backbones import Pixels
from benchmarks.controls import BASELINES
from tests.trainings import composed, frozen
from visionkit.config.frozen import plain, thaw
from visionkit.engine.build import build_network, network_node
from visionkit.engine.preflight import check
from visionkit.engine.setup import set_up
from visionkit.models.network import Network

CONTROLS = [(task, name) for task, controls in BASELINES.items() for name in controls]
OUTPUT = {"classification": "logits", "segmentation": "logits", "detection": "class_logits"}


def network(task: str, name: str) -> Network:
    config = composed(f"task={task}", *BASELINES[task][name], small=False)
    check(config)
    torch.manual_seed(0)
    return build_network(network_node(plain(config)), {task: tuple("0123456789")})


@pytest.mark.parametrize(("task", "name"), CONTROLS)
def test_every_control_fits_the_config(task: str, name: str) -> None:
    outputs = network(task, name)(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    assert getattr(outputs[task], OUTPUT[task]).isfinite().all()


@pytest.mark.parametrize(("task", "name"), [pair for pair in CONTROLS if pair[1].startswith("linear")])
def test_the_linear_models_are_linear(task: str, name: str) -> None:
    """f(a) + f(b) = f(a + b) + f(0), from the normalised pixels to the class scores."""
    model = network(task, name)

    def scores(images: Tensor) -> Tensor:
        outputs = model.outputs(model.features(images), (64, 64))
        result = getattr(outputs[task], OUTPUT[task])
        assert isinstance(result, Tensor)
        return result

    a, b = torch.randn(2, 1, 3, 64, 64)
    torch.testing.assert_close(scores(a) + scores(b), scores(a + b) + scores(0 * a), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(scores(a), scores(b))


def test_pixels_are_those_around_each_cell() -> None:
    """Cell (1, 2) of stride 4 covers rows 4 to 7 and columns 8 to 11; a window of 6 has one pixel more all round."""
    images = torch.randn(2, 3, 12, 16)
    (cells,) = Pixels(4, 6)(images)
    assert cells.shape == (2, 3 * 36, 3, 4)
    torch.testing.assert_close(cells[:, :, 1, 2], images[:, :, 3:9, 7:13].flatten(1) / 6)
    corner = cells[:, :, 0, 0].view(2, 3, 6, 6)
    assert not corner[:, :, 0].any()
    assert not corner[:, :, :, 0].any()
    torch.testing.assert_close(corner[:, :, 1:, 1:], images[:, :, :5, :5] / 6)


@pytest.mark.parametrize(("height", "width"), [(13, 16), (12, 19), (3, 5)])
def test_pixels_keep_the_contract_at_odd_sizes(height: int, width: int) -> None:
    backbone = Pixels(4, 8)
    (cells,) = backbone(torch.randn(1, 3, height, width))
    ((channels, stride),) = backbone.levels
    assert cells.shape == (1, channels, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize(("stride", "window"), [(4, 7), (4, 2), (0, 0)])
def test_a_window_lies_around_its_cell(stride: int, window: int) -> None:
    with pytest.raises(ValueError, match=f"window={window}"):
        Pixels(stride, window)


def test_a_frozen_backbone_learns_nothing(tmp_path: Path) -> None:
    run_dir = frozen(tmp_path / "run", *BASELINES["classification"]["frozen random backbone"])
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    backbone = setup.module.network.backbone
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    setup.trainer.fit(setup.module, setup.data)
    features = backbone(torch.randn(4, 3, 32, 32))
    assert not any(feature.requires_grad for feature in features)
    norms = [module for module in backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(module.training for module in norms)
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    assert features[-1].std() > 0.1  # random features, not dead ones
