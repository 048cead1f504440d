"""Find the normalisation that a network wants of its pixels: the user's, or that of the weights it begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from visionkit.engine.weights import files, sources
from visionkit.errors import ConfigError
from visionkit.types import COLOURS


class Figures(NamedTuple):
    """Mean and standard deviation a channel, in shares of 255."""

    mean: list[float]
    std: list[float]


IMAGENET: Final = Figures([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
"""Of ImageNet's pixels; what `normalize` says unless the user changed it."""


def normalisation(config: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Return the mean and standard deviation a channel that the network of a train config normalises with.

    They are `normalize`'s as they stand, except under weights that want other inputs than ImageNet's: then each
    normalised value z becomes what the weights want of a pixel that lies z deviations from ImageNet's mean, so that
    ImageNet's own figures turn into exactly those of the weights. A backbone of n input channels other than three gets
    n times the mean of the three figures. Raises ConfigError for another number of figures.
    """
    own = Figures(list(config["normalize"]["mean"]), list(config["normalize"]["std"]))
    channels = config["backbone"].get("in_channels", len(own.mean))  # a class of one's own has any number of them
    wanted = expected(config)
    own = _spread(own, channels, config)
    if wanted is None:
        return own
    reference, wanted = _spread(IMAGENET, channels, config), _spread(wanted, channels, config)
    figures = list(zip(*own, *reference, *wanted, strict=True))
    return Figures(
        [round(m - s * ((own_m - want_m) / own_s), 9) for m, s, own_m, own_s, want_m, _ in figures],
        [round(s * (want_s / own_s), 9) for _, s, _, own_s, _, want_s in figures],
    )


def expected(config: Mapping[str, Any]) -> Figures | None:
    """Return what the weights of a train config want; None without weights, or when they do not say."""
    init = config["init"]
    source: sources.Source
    if init["network"] is not None:
        source = sources.of_network(str(init["network"]))
        if isinstance(source, sources.Published):
            return IMAGENET  # as the transform inside torchvision's detectors and its segmentation preset have it
    elif init["backbone"] is None:
        return None
    else:
        source = sources.of_backbone(str(init["backbone"]), config["backbone"])
    if isinstance(source, sources.File):
        now = source.path.stat()
        kept = _of_file(source.path, now.st_mtime_ns, now.st_size)
        return None if kept is None else Figures(list(kept[0]), list(kept[1]))
    if isinstance(source, sources.TimmPublished):
        from timm.models import get_pretrained_cfg

        found = get_pretrained_cfg(source.name)
        return None if found is None else Figures(list(found.mean), list(found.std))
    from visionkit.models.backbones.torchvision import expected_input

    mean, std = expected_input(source.weights)
    return Figures(list(mean), list(std))


@lru_cache(maxsize=8)
def _of_file(path: Path, _changed: int, _size: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return mean and standard deviation of a checkpoint, which is read once until its time or size changes."""
    network = files.read(path, meta=True).network
    return None if network is None else (tuple(network["mean"]), tuple(network["std"]))


def _spread(figures: Figures, channels: int, config: Mapping[str, Any]) -> Figures:
    """Return figures for a number of channels: as they are when there are as many, else the mean of three."""
    if len(figures.mean) == len(figures.std) == channels:
        return figures
    if len(figures.mean) == len(figures.std) == COLOURS and channels != COLOURS:
        return Figures([_mean(figures.mean)] * channels, [_mean(figures.std)] * channels)
    what = f"init.backbone={config['init']['backbone']}" if config["init"]["backbone"] else "the backbone"
    raise ConfigError(
        f"{what} wants images of {channels} channels, so normalize.mean and normalize.std with {channels} numbers "
        f"each; got {figures.mean} and {figures.std}; type normalize.mean={_typed(0.45, channels)} "
        f"normalize.std={_typed(0.23, channels)}, with the figures of your images"
    )


def _typed(value: float, channels: int) -> str:
    return f"[{','.join([str(value)] * channels)}]"


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 9)
