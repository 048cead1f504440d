"""Begin a training with published weights: find them, fetch them when the user asked for it, and say what was loaded.

A source is one entry of `SOURCES` and what `published` and `apply` do for it.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from visionkit.config.folders import conf_dir
from visionkit.errors import ConfigError, UserError
from visionkit.suggest import closest

if TYPE_CHECKING:  # takes seconds to import, which prediction with another backbone does without
    from torchvision.models import WeightsEnum

SOURCES = {"imagenet": "torchvision's ImageNet weights"}
"""What `init.backbone` may be, null (random weights) apart."""

LONGEST_WAIT = 3600.0
"""Seconds that the other processes of a machine wait for the first one's download."""

TORCHVISION = "visionkit.models.backbones.torchvision.Torchvision"
"""The class whose nodes have published weights; by name, as importing it takes seconds."""

log = logging.getLogger("visionkit")


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line when `init` of a plain train config, interpolations kept, cannot be served. Reads no data."""
    init = config.get("init", {})
    if not isinstance(init, dict):
        yield f"init={init} is no weights' place; give init.backbone={_allowed()}"
        return
    source, backbone = init.get("backbone"), config.get("backbone") or {}
    if source is not None and source not in SOURCES:
        close = closest(str(source), SOURCES)
        meant = f"did you mean init.backbone={close}? " if close else ""
        yield f"init.backbone={source} is unknown; {meant}it takes {_allowed()}"
    elif source is not None and "${" not in str(backbone) and published(backbone) is None:
        what = str(backbone.get("name", backbone.get("_target_"))).rpartition(".")[2]
        yield (
            f"init.backbone={source}: there are no such weights for this backbone ({what}); choose "
            f"{' or '.join(f'backbone={option}' for option in _options())}, or leave init.backbone out"
        )


def published(backbone: Mapping[str, Any]) -> WeightsEnum | None:
    """Return the ImageNet weights of a backbone's node, or None when it has none. Opens no file and no connection."""
    if backbone.get("_target_") != TORCHVISION:
        return None
    from visionkit.models.backbones.torchvision import published_weights

    return published_weights(str(backbone.get("name")))


def megabytes(weights: WeightsEnum) -> int:
    """Return the size of the download."""
    return round(float(weights.meta["_file_size"]))


def normalisation(config: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Return the mean and standard deviation a channel that the network of a train config normalises with.

    They are `normalize`'s as they stand, except under weights that want other inputs than ImageNet's: then each
    normalised value z becomes what the weights want of a pixel that lies z deviations from ImageNet's mean, so that
    ImageNet's own figures turn into exactly those of the weights. Raises ConfigError without three channels.
    """
    mean, std = list(config["normalize"]["mean"]), list(config["normalize"]["std"])
    weights = published(config["backbone"]) if config["init"]["backbone"] else None
    if weights is None:
        return mean, std
    from visionkit.models.backbones.torchvision import IMAGENET, expected_input

    if not len(mean) == len(std) == len(IMAGENET[0]):
        raise ConfigError(
            f"init.backbone={config['init']['backbone']} wants colour images, so normalize.mean and normalize.std with "
            f"{len(IMAGENET[0])} numbers each; got {mean} and {std}"
        )
    channels = list(zip(mean, std, *IMAGENET, *expected_input(weights), strict=True))
    return (
        [round(m - s * ((own_m - want_m) / own_s), 9) for m, s, own_m, own_s, want_m, _ in channels],
        [round(s * (want_s / own_s), 9) for _, s, _, own_s, _, want_s in channels],
    )


def apply(config: Mapping[str, Any], backbone: nn.Module) -> None:
    """Load what `init.backbone` of a resolved train config names into the backbone built from it; log what fitted.

    Raises:
        ConfigError: There is no such source, or it has none for this backbone.
        UserError: They cannot be had, or are not this network's.
    """
    source = config["init"]["backbone"]
    if source is None:
        return
    weights = published(config["backbone"])
    if (found := list(problems(config))) or weights is None:
        raise ConfigError("\n".join(found))
    state = _fetch(weights)
    body = cast(nn.Module, backbone.body)
    own = set(body.state_dict())
    try:
        left = body.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(f"{_path(weights)} does not hold weights of this network: {error}; {_again(weights)}") from None
    loaded = own & set(state)
    if not loaded:
        raise UserError(f"{_path(weights)} holds nothing of this network's; {_again(weights)}")
    log.info("init.backbone=%s: %d tensors loaded from %s", source, len(loaded), _path(weights))
    if left.unexpected_keys:
        log.info("  not used of the file, as no level needs them: %s", _listed(left.unexpected_keys))
    if left.missing_keys:
        log.warning("  not in the file, so still random: %s", _listed(left.missing_keys))
    mean, std = normalisation(config)
    if (mean, std) != (list(config["normalize"]["mean"]), list(config["normalize"]["std"])):
        log.info("  these weights want pixels normalised with mean %s and deviation %s", mean, std)


def _fetch(weights: WeightsEnum) -> dict[str, Tensor]:
    """Return the weights out of torch's cache; the first process of a machine downloads them into it."""
    path = _path(weights)
    there = path.is_file()
    if not there and int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0"))) > 0:
        _wait_for(path)
    elif not there:
        log.info("init.backbone: downloading %s, %d MB", path.name, megabytes(weights))
    try:
        # The hash is checked when torch downloads, not when the file lies in its cache already.
        return dict(weights.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True))
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if there or path.is_file():
            raise UserError(f"{path} cannot be read as weights ({reason}); {_again(weights)}") from None
        raise UserError(
            f"{path.name} ({megabytes(weights)} MB) cannot be downloaded from {weights.url} ({reason}); "
            f"put that file into {path.parent}, or train without init.backbone"
        ) from None


def _wait_for(path: Path) -> None:
    """Return once the file is there; torch moves it to its place when it is whole."""
    end = time.monotonic() + LONGEST_WAIT
    while not path.is_file():
        if time.monotonic() > end:
            raise UserError(f"{path} did not come; the first process should have downloaded it")
        time.sleep(0.5)


def _path(weights: WeightsEnum) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)


def _again(weights: WeightsEnum) -> str:
    return f"remove it, and the next run downloads it again ({megabytes(weights)} MB)"


def _allowed() -> str:
    return " or ".join([*(f"{name} ({what})" for name, what in SOURCES.items()), "null (random)"])


def _options() -> list[str]:
    """Return the options of the `backbone` group that have published weights."""
    nodes = {path.stem: OmegaConf.load(path) for path in sorted((conf_dir() / "backbone").glob("*.yaml"))}
    return [option for option, node in nodes.items() if published(cast(Mapping[str, Any], node)) is not None]


def _listed(names: Iterable[str], most: int = 6) -> str:
    all_names = list(names)
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more
