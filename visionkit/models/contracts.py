"""State what a backbone, a neck and a head promise each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from visionkit.types import Level, Prediction, Targets


class Backbone(nn.Module, ABC):
    """Turns float images (B, C, H, W) into one feature map a level, fine to coarse.

    `levels` is set in the constructor, with strictly rising strides; map i has
    ceil(H / stride) x ceil(W / stride) cells whatever the size. A backbone whose layers do not round sizes up by
    themselves takes `padding`: `same`, also meant by None, keeps that promise; `published` leaves the layers as their
    authors had them, for heads that pool.
    """

    levels: tuple[Level, ...]

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one map a level and, behind them, one for each of its auxiliary classifiers."""

    def auxiliary_classifiers(self, num_classes: int) -> list[nn.Module]:
        """Return new classifiers for the maps behind those of the levels: map in, logits (B, num_classes) out.

        Most backbones have none.
        """
        return []

    def level_of(self, name: str) -> int:
        """Return the index of the finest level that needs a parameter or buffer, named as in the state dict.

        What can be frozen stage by stage implements it.
        """
        raise NotImplementedError

    def recompute_stages(self) -> None:
        """Keep only what goes into each stage for backward, and compute the rest again (`recomputing.py`).

        What can be cut into stages implements it; gradients and statistics stay what they are without.
        """
        raise NotImplementedError


class Neck(nn.Module, ABC):
    """Turns the maps of some levels into the maps of its own `levels`; built with `levels=`."""

    levels: tuple[Level, ...]

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return one map for each of its own levels."""


class Head(nn.Module, ABC):
    """Turns features into the outputs of one task; built with `levels=` and `num_classes=`.

    Every parameter is used in `forward`. `loss` and `decode` read tensors from `outputs` and plain
    numbers from `self`, never a parameter or a buffer: so export, compile and FSDP see the whole network.
    """

    kind: ClassVar[str]
    """The entry of `LABEL_KINDS` that it learns from."""

    takes_auxiliary: ClassVar[bool] = False
    """Whether it trains auxiliary classifiers: without a neck it is then built with `auxiliary_classifiers=`, and gets
    the maps that they read behind those of the levels."""

    @abstractmethod
    def forward(self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None) -> Any:
        """Return a NamedTuple of tensors. `image_size` is (height, width) in pixels."""

    @abstractmethod
    def loss(self, outputs: Any, targets: Targets) -> dict[str, Tensor]:
        """Return named scalar terms; their sum is minimised. Samples that carry no labels of `kind` do not count.

        Normalisers are summed over ranks and clamped (`ops.ranks.normaliser`).
        """

    @abstractmethod
    def decode(self, outputs: Any) -> Prediction:
        """Return the prediction of every image, in pixels of the network's input."""
