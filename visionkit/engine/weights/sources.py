"""Say what `init.backbone` and `init.network` mean: published weights by name, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visionkit.engine.weights import files, networks
from visionkit.errors import ConfigError
from visionkit.suggest import closest

if TYPE_CHECKING:  # takes seconds to import, which prediction with another backbone does without
    from torchvision.models import WeightsEnum

DEFAULT = "imagenet"
"""The name of the weights that a network's publishers recommend."""

TORCHVISION = "visionkit.models.backbones.torchvision.Torchvision"
"""The class whose nodes have torchvision's published weights; by name, as importing it takes seconds."""

TIMM = "visionkit.models.backbones.timm.Timm"
"""The class whose nodes have timm's."""


class Published(NamedTuple):
    """An entry of torchvision's table of weights."""

    weights: WeightsEnum
    network: networks.Mapped | None
    """How the tensors are called in ours, when they are of a whole network."""


class TimmPublished(NamedTuple):
    """What timm calls the pretrained weights of a network."""

    name: str


class File(NamedTuple):
    """A file of the user's."""

    path: Path


Source = Published | TimmPublished | File


def of_backbone(value: str, backbone: Mapping[str, Any]) -> Source:
    """Return what `init.backbone` names for a backbone's node. Raises ConfigError when there is no such thing."""
    target = backbone.get("_target_")
    if files.is_path(value):
        return _file("backbone", value)
    if target == TIMM and value == DEFAULT:
        return TimmPublished(str(backbone.get("name")))
    entries = _entries(backbone)
    if value in entries:
        return Published(entries[value], None)
    if value == DEFAULT:
        what = str(backbone.get("name", target)).rpartition(".")[2]
        raise ConfigError(
            f"init.backbone={value}: there are no such weights for this backbone ({what}); choose one of "
            "torchvision's, such as backbone=resnet18, give a file, or leave init.backbone out"
        )
    close = closest(value, [DEFAULT, *entries])
    meant = f"did you mean init.backbone={close}? " if close else ""
    raise ConfigError(f"init.backbone={value} is unknown; {meant}it takes {_allowed(list(entries)[1:])}")


def of_network(value: str) -> Published | File:
    """Return what `init.network` names. Raises ConfigError when it is neither of `networks.MAPPED` nor a file."""
    if files.is_path(value):
        return _file("network", value)
    prefix, _, name = value.partition(":")
    if prefix != "torchvision" or name not in networks.MAPPED:
        known = [f"torchvision:{name}" for name in networks.MAPPED]
        close = closest(value, known)
        meant = f"did you mean init.network={close}? " if close else ""
        raise ConfigError(
            f"init.network={value} is unknown; {meant}it takes {', '.join(known)}, a best.ckpt or null (random)"
        )
    from torchvision.models import get_model_weights

    return Published(get_model_weights(name).DEFAULT, networks.MAPPED[name])


def _file(key: str, value: str) -> File:
    path = files.expanded(value)
    if found := files.problem(path):
        raise ConfigError(f"init.{key}={value}: {found}")
    return File(path)


def published(backbone: Mapping[str, Any]) -> WeightsEnum | None:
    """Return torchvision's default weights of a backbone's node, or None when it has none. Opens no connection."""
    return _entries(backbone).get(DEFAULT)


def megabytes(weights: WeightsEnum) -> int:
    """Return the size of the download."""
    return round(float(weights.meta["_file_size"]))


def _entries(backbone: Mapping[str, Any]) -> dict[str, WeightsEnum]:
    """Return torchvision's weights for a backbone's node by name, the default ones first."""
    if backbone.get("_target_") != TORCHVISION:
        return {}
    import torchvision

    name = str(backbone.get("name"))
    if name not in torchvision.models.list_models(module=torchvision.models):
        return {}
    table = torchvision.models.get_model_weights(name)
    default = getattr(table, "DEFAULT", None)
    return {} if default is None else {DEFAULT: default, **table.__members__}


def _allowed(entries: list[str]) -> str:
    named = [", ".join(entries)] if entries else []
    return " or ".join(
        [f"{DEFAULT} (torchvision's ImageNet weights, or timm's)", *named, f"a file ({', '.join(files.SUFFIXES)})",
         "null (random)"]
    )  # fmt: skip
