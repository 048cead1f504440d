"""A quick backbone with batch normalisation, in place of the default one."""

from __future__ import annotations

from omegaconf import OmegaConf
from torch import Tensor, nn

from visionkit.config.folders import conf_dir
from visionkit.models.contracts import Backbone
from visionkit.types import Level


class TwoStages(Backbone):
    """Two levels of a convolution and a batch normalisation each."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = (Level(8, 2), Level(16, 4))
        self.fine = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8))
        self.coarse = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [fine := self.fine(images).relu(), self.coarse(fine).relu()]

    def level_of(self, name: str) -> int:
        return int(name.startswith("coarse"))


class NoStages(TwoStages):
    """One that does not say which stage is which."""

    def level_of(self, name: str) -> int:
        raise NotImplementedError


TWO_STAGES = (
    "backbone._target_=tests.two_stages.TwoStages",
    *(f"~backbone.{key}" for key in OmegaConf.load(conf_dir() / "backbone/convnet.yaml") if key != "_target_"),
)
"""What chooses it."""
