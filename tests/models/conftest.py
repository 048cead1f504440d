"""Build networks from the YAML files of the config, and batches that every head can learn from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from visionkit.engine import build as engine_build
from visionkit.models.contracts import Backbone, Neck
from visionkit.models.network import Network
from visionkit.types import Targets

CONF = Path(__file__).parents[2] / "conf"
CLASSES = 3

FIXED_SIZE = {"vgg": (64, 96)}
"""Heads that take images of one size alone, and the (height, width) in pixels for which they are built here."""


@pytest.fixture(autouse=True)
def quick_on_small_maps(one_thread: None) -> None:
    """Compute every test here on one thread."""


def _node(group: str, name: str) -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose(f"{group}/{name}"), resolve=False).get(group, {})


@pytest.fixture
def node() -> Callable[[str, str], Any]:
    """Return a function: a group and the name of a file in it in, its node out."""
    return _node


@pytest.fixture
def build() -> Callable[..., Network]:
    """Return a function: names of the files in conf/backbone, conf/head and conf/neck in, a network of one head out.

    A backbone that is built already is taken as it is.
    """

    def make(backbone: str | Backbone, head: str, neck: str = "none", device: str = "cpu") -> Network:
        torch.manual_seed(0)
        with torch.device(device):
            parts = {"name": "only", "task": {}, "neck": _node("neck", neck), "head": _node("head", head)}
            parts |= {"backbone": backbone, "init": {"network": None}}
            if head in FIXED_SIZE:
                parts["head"] |= {"input_size": list(FIXED_SIZE[head]), "hidden": [64, 64]}  # 4096 take seconds
            if isinstance(backbone, str):
                parts["backbone"] = _node("backbone", backbone)
                parts["backbone"] = engine_build.build(engine_build.backbone_node(parts))
            body: Backbone = parts["backbone"]
            necks: dict[str, Neck] = {}
            if parts["neck"]:
                necks["neck"] = engine_build.build(parts["neck"], levels=body.levels)
            top = engine_build.build_head(parts["head"], body, necks.get("neck"), CLASSES)
            mean_std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
            return Network(body, necks, {"only": top}, {"only": next(iter(necks), None)}, *mean_std)

    return make


@pytest.fixture
def scene() -> Callable[..., tuple[torch.Tensor, Targets]]:
    """Return a function that draws one bright box on each dark image and tells every kind of label of it.

    The box of image i is of class i % CLASSES, which is its colour channel. In the mask it is that too, around it is
    `context`.
    """

    def make(images: int = 4, height: int = 64, width: int = 64, *, context: int = 255) -> tuple[torch.Tensor, Targets]:
        g = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 40, (images, 3, height, width), generator=g, dtype=torch.uint8)
        mask = torch.full((images, height, width), context, dtype=torch.uint8)
        labels = torch.arange(images) % CLASSES
        boxes = []
        for i in range(images):
            w, h = (int(side) for side in torch.randint(12, 30, (2,), generator=g))
            x = int(torch.randint(0, width - w, (1,), generator=g))
            y = int(torch.randint(0, height - h, (1,), generator=g))
            pixels[i, labels[i], y : y + h, x : x + w] += 180
            mask[i, y : y + h, x : x + w] = labels[i]
            boxes.append([x, y, x + w, y + h])
        targets = Targets(
            labels=labels,
            multilabel=torch.eye(CLASSES)[labels],
            mask=mask,
            boxes=torch.tensor(boxes, dtype=torch.float32),
            box_label=labels,
            box_image=torch.arange(images),
            box_ignore=torch.zeros(images, dtype=torch.bool),
        )
        return pixels, targets

    return make
