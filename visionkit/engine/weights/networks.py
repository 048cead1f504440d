"""Hold what torchvision's whole networks call the tensors of ours: one entry a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor


class Mapped(NamedTuple):
    """A network of torchvision that parts of ours can be."""

    builder: str
    """torchvision's name of it."""
    experiment: str
    """The file of conf/experiment that puts those parts together."""
    rules: tuple[tuple[str, str], ...]
    """Pattern of torchvision's names and what stands there in ours; <head> is the head's name. The first that matches
    is taken."""
    classes: tuple[str, ...]
    """Beginnings of our names whose tensors are as many as the classes."""
    left: tuple[str, ...]
    """Beginnings of torchvision's names that no part of ours needs."""

    def of_classes(self, name: str, head: str) -> bool:
        """Return whether a tensor of ours is as many as the classes, in a network whose head is called `head`."""
        return name.startswith(tuple(beginning.replace("<head>", head) for beginning in self.classes))


MAPPED: Final = {
    "fcos_resnet50_fpn": Mapped(
        "fcos_resnet50_fpn",
        "fcos_resnet50_fpn",
        (
            (r"backbone\.body\.(.*)", r"backbone.body.\1"),
            # Files from before torchvision 0.13 lack the inner ".0".
            (r"backbone\.fpn\.inner_blocks\.(\d+)\.(?:0\.)?(\w+)", r"necks.neck.lateral.\1.\2"),
            (r"backbone\.fpn\.layer_blocks\.(\d+)\.(?:0\.)?(\w+)", r"necks.neck.smooth.\1.\2"),
            (r"backbone\.fpn\.extra_blocks\.p6\.(.*)", r"necks.neck.extra.0.\1"),
            (r"backbone\.fpn\.extra_blocks\.p7\.(.*)", r"necks.neck.extra.1.\1"),
            (r"head\.classification_head\.conv\.(.*)", r"heads.<head>.class_tower.\1"),
            (r"head\.classification_head\.cls_logits\.(.*)", r"heads.<head>.class_logits.\1"),
            (r"head\.regression_head\.conv\.(.*)", r"heads.<head>.box_tower.\1"),
            (r"head\.regression_head\.bbox_reg\.(.*)", r"heads.<head>.distances.\1"),
            (r"head\.regression_head\.bbox_ctrness\.(.*)", r"heads.<head>.centerness.\1"),
        ),
        ("heads.<head>.class_logits.",),
        (),
    ),
    "fcn_resnet50": Mapped(
        "fcn_resnet50",
        "fcn_resnet50",
        (
            (r"backbone\.(.*)", r"backbone.body.\1"),
            (r"classifier\.0\.(.*)", r"heads.<head>.hidden.0.\1"),
            (r"classifier\.1\.(.*)", r"heads.<head>.hidden.1.\1"),
            (r"classifier\.4\.(.*)", r"heads.<head>.scores.\1"),
        ),
        ("heads.<head>.scores.",),
        ("aux_classifier.",),
    ),
}
"""By the name of torchvision's builder."""


def tensors(network: Mapped) -> dict[str, Tensor]:
    """Return the tensors of torchvision's own network, on the meta device."""
    from torchvision.models import get_model

    with torch.device("meta"):
        return dict(get_model(network.builder, weights=None, weights_backbone=None).state_dict())


def renamed(file: Mapping[str, Tensor], network: Mapped, head: str) -> dict[str, str]:
    """Return the file's name of each tensor by our name; what no rule matches keeps its own."""
    return {_ours(name, network, head): name for name in file}


def _ours(name: str, network: Mapped, head: str) -> str:
    for pattern, replacement in network.rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement).replace("<head>", head)
    return name
