"""Wrap a timm network as a backbone."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.models.backbones.given import check_channels, check_in_channels, check_padding
from visionkit.models.backbones.rounding import round_up
from visionkit.models.backbones.tracing import first_convolution
from visionkit.models.contracts import Backbone
from visionkit.models.recomputing import recompute
from visionkit.suggest import did_you_mean
from visionkit.types import Level

_SIZES = ((128, 128), (139, 117))  # of images: multiples of the usual strides, and none


class Timm(Backbone):
    """The part of a timm network that makes its feature maps, initialised at random.

    `name` is one of `timm.list_models()`; the levels are those that timm names for it (`feature_info`), the finest
    first, the last where several have one stride. Names and shapes in `body.state_dict()` are those of timm's
    `features_only` network. `padding` is `same` (also None), by which layers round sizes up (`rounding.py`), or
    `published`, which leaves timm's. `first_convolution` is the name in the state dict of the weight that sees the
    image.

    Raises ValueError without timm, and for an unknown network or one whose maps are not those of its levels.
    """

    def __init__(self, name: str, padding: str | None = None, in_channels: int = 3) -> None:
        super().__init__()
        timm = _library()
        known = timm.list_models()
        if name not in known:
            raise ValueError(f"timm has no network {name!r}; {did_you_mean(name, known)}")
        check_padding(padding)
        check_in_channels(in_channels)
        self.in_channels = in_channels
        self.levels, self.used, edits = _geometry(timm, name, in_channels, rounding=padding != "published")
        self.body = _network(timm, name, in_channels, self.used)
        self.finest = {f"body.{key}": index for key, index in _needed_by(self.body).items()}
        if edits:
            round_up(self.body, every=False)
        self.first_convolution = f"body.{first_convolution(self.body)[0]}.weight"

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one map a level. Raises ValueError for images with another number of channels."""
        check_channels(images, self.in_channels)
        return list(self.body(images))

    def recompute_stages(self) -> None:
        """Compute each of timm's stages again in backward. Raises ValueError where maps are taken inside of them."""
        if type(self.body).__name__ != "FeatureListNet":
            raise ValueError("timm takes this network's maps out of the middle of its stages")
        recompute(self.body.children())

    def level_of(self, name: str) -> int:
        """Return the index of the finest level whose map depends on a tensor. Raises ValueError for an unknown one."""
        if not self.finest:
            raise ValueError("timm does not name the layers behind which this network's maps are taken")
        if name not in self.finest:
            raise ValueError(f"the backbone has no tensor {name!r}; {did_you_mean(name, self.finest)}")
        return self.finest[name]


def _library() -> ModuleType:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ValueError(f'backbone=timm needs timm ({error}); type: pip install "visionkit[timm]"') from None


def _network(timm: ModuleType, name: str, in_channels: int, used: Sequence[int] | None) -> nn.Module:
    indices = {} if used is None else {"out_indices": tuple(used)}
    try:
        return timm.create_model(name, features_only=True, pretrained=False, in_chans=in_channels, **indices)  # type: ignore[no-any-return]
    except (AttributeError, RuntimeError, TypeError, AssertionError, KeyError) as error:
        raise ValueError(f"timm's {name} gives no feature maps ({type(error).__name__}: {error})") from error


def _geometry(
    timm: ModuleType, name: str, in_channels: int, *, rounding: bool
) -> tuple[tuple[Level, ...], tuple[int, ...], bool]:
    """Return the levels, their indices in timm's list, and whether layers have to be edited to round sizes up.

    Here alone a network is tried, on the meta device: timm's tables are written by hand, those of networks with
    unpadded layers say strides that their maps do not have, and nothing else says which layers pad by themselves.
    """
    with torch.device("meta"):
        info: Any = _network(timm, name, in_channels, None).feature_info
        by_stride = {stride: index for index, stride in enumerate(info.reduction())}
        used = tuple(sorted(by_stride.values()))
        levels = tuple(Level(info.channels()[index], info.reduction()[index]) for index in used)
        if any(fine.stride >= coarse.stride for fine, coarse in pairwise(levels)):
            raise ValueError(f"timm's {name} has levels of the strides {info.reduction()}; a backbone's rise strictly")
        wrong = ""
        for edits in (True, False) if rounding else (False,):
            body = _network(timm, name, in_channels, used).eval()
            if edits:
                round_up(body, every=False)
            found = _wrong(body, levels, in_channels, rounding=rounding)
            if not found:
                return levels, used, edits
            wrong = wrong or found
        works = rounding and not _wrong(body, levels, in_channels, rounding=False)
    advice = "; backbone.padding=published takes it as it is" if works else ""
    raise ValueError(f"timm's {name} cannot be a backbone: {wrong}{advice}")


def _wrong(body: nn.Module, levels: Sequence[Level], in_channels: int, *, rounding: bool) -> str:
    """Return what is wrong with the maps of a network on the meta device, or nothing."""
    if str(getattr(getattr(body, "output_fmt", None), "value", "NCHW")) != "NCHW":
        return "its maps have their channels last"
    for height, width in _SIZES:
        try:
            with torch.no_grad():
                maps = body(torch.empty(2, in_channels, height, width))
        except (RuntimeError, AssertionError, ValueError) as error:
            return f"it takes no images of {height} x {width} pixels ({' '.join(str(error).split())})"
        for level, found in zip(levels, maps, strict=True):
            cells = (-(-height // level.stride), -(-width // level.stride))
            channels_or_cells: Any = found.shape[1] if not rounding else tuple(found.shape[1:])
            if channels_or_cells != (level.channels if not rounding else (level.channels, *cells)):
                return (
                    f"from {height} x {width} pixels it makes a map of {tuple(found.shape[1:])} where stride "
                    f"{level.stride} means {(level.channels, *cells)} (channels, height, width)"
                )
    return ""


def _needed_by(body: nn.Module) -> dict[str, int]:
    """Return the first level that needs each tensor, by name; nothing where timm names no layer for a level.

    Modules stand in the order in which they run, and `feature_info` says behind which of them each map is taken.
    """
    steps = {path: step for step, (path, _) in enumerate(body.named_modules())}
    info: Any = body.feature_info
    ends = []
    for module in info.module_name():
        # timm joins names with an underscore where it flattens a sequence.
        names = (module, module.replace(".", "_"), module.replace(".", "_", 1))
        inside = [s for path, s in steps.items() if any(path == n or path.startswith(f"{n}.") for n in names)]
        if not inside:
            return {}
        ends.append(max(inside))
    return {
        key: next(index for index, end in enumerate(ends) if steps[key.rpartition(".")[0]] <= end)
        for key in body.state_dict()
    }
