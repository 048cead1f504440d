"""Turn a file's raw values, of any depth and any number of channels, into the 8 bits of chosen channels."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from visionkit.data.pixels import Pixels, View, in_memory
from visionkit.errors import ConfigError, DataError
from visionkit.types import COLOURS, Image

log = logging.getLogger(__name__)


class Window:
    """Chooses channels and maps raw values to 0..255.

    Args:
        window: `[low, high]`, the raw values that become 0 and 255: between them a value goes to the nearest of the
            256, outside it is clipped, and no number (nan) becomes 0. A list of such pairs gives one a channel of the
            result. None keeps 8 bits as they are and the upper 8 of 16, and refuses other depths.
        channels: Indices of the file's channels, in the order of the result. None gives RGB: grey becomes three equal
            channels, a fourth (alpha) is dropped, and another number is refused.

    Raises:
        ConfigError: A pair is none or upside down, an index is none, or there are not as many pairs as channels.
    """

    def __init__(self, window: Sequence[Any] | None = None, channels: Sequence[int] | None = None) -> None:
        self.channels = None if channels is None else _indices(channels)
        self.num_channels = COLOURS if self.channels is None else len(self.channels)
        self.pairs = None if window is None else _pairs(window, self.num_channels)

    def apply(self, raw: NDArray[Any], where: str | Path) -> Image:
        """Return (H, W, num_channels) of raw values (H, W) or (H, W, C); `where` names them in messages.

        Raises DataError for a channel that is not there, or for a depth that needs a window.
        """
        chosen = self._choose(raw if raw.ndim == 3 else raw[..., None], where)
        if self.pairs is not None:
            return np.stack([_spread(chosen[..., i], *pair) for i, pair in enumerate(self.pairs)], axis=-1)
        if chosen.dtype == np.uint16:
            return upper_bits(chosen, where)
        if chosen.dtype != np.uint8:
            raise DataError(
                f"{where}: holds values of the type {chosen.dtype}; say which of them become 0 and 255: "
                f"data.window=[low, high] (they are {chosen.min()} to {chosen.max()} here)"
            )
        return np.ascontiguousarray(chosen)

    def _choose(self, raw: NDArray[Any], where: str | Path) -> NDArray[Any]:
        count = raw.shape[2]
        if self.channels is None:
            if count not in (1, COLOURS, COLOURS + 1):
                raise DataError(
                    f"{where}: has {count} channels (the last axis of {raw.shape}); say which to use: "
                    f"data.channels={list(range(min(count, 8)))} backbone.in_channels={min(count, 8)}"
                )
            return raw.repeat(COLOURS, axis=2) if count == 1 else raw[..., :COLOURS]
        if max(self.channels) >= count:
            raise DataError(
                f"{where}: has {count} channel{'s' if count > 1 else ''}, so none of the index {max(self.channels)} "
                f"that data.channels={list(self.channels)} names; give indices from 0 to {count - 1}"
            )
        return raw[..., list(self.channels)]


@runtime_checkable
class Encoded(Protocol):
    """Pictures whose raw values lie in files, and can be looked at through a window."""

    def through(self, window: Window) -> Pixels:
        """Return the same pictures as a window shows them."""


class Shown:
    """Pictures that are made or held in memory, as a window shows them."""

    def __init__(self, pixels: Pixels, window: Window) -> None:
        self.pixels = pixels
        self.window = window
        self.in_memory = in_memory(pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int, /) -> Image:
        return self.window.apply(np.asarray(self.pixels[index]), f"image {index}")


def through(pixels: Pixels, window: Window) -> Pixels:
    """Return pictures as a window shows them, wherever they come from."""
    if isinstance(pixels, View):
        return View([through(source, window) for source in pixels.sources], pixels.source, pixels.row)
    return pixels.through(window) if isinstance(pixels, Encoded) else Shown(pixels, window)


def upper_bits(raw: NDArray[np.uint16], where: str | Path) -> Image:
    """Return the upper 8 of 16 bits; the log says so once a process, and of several loader workers the first."""
    worker = get_worker_info()
    if worker is None or worker.id == 0:
        _tell_of_16_bits(str(Path(where).parent))
    return (raw >> 8).astype(np.uint8)


@functools.cache
def _tell_of_16_bits(folder: str) -> None:
    log.warning(
        "%s: holds images of 16 bits, of which only the upper 8 are used; where the values fill a part of 0..65535, "
        "say which become 0 and 255: data.window=[low, high]",
        folder,
    )


def _spread(values: NDArray[Any], low: float, high: float) -> Image:
    """Return values with `low` at 0 and `high` at 255."""
    exact = values.astype(np.result_type(values.dtype, np.float32))  # float64 where float32 cannot hold them all
    share = np.nan_to_num(np.clip((exact - low) / (high - low), 0, 1), nan=0)
    return np.asarray(share * 255 + 0.5).astype(np.uint8)


def _pairs(window: Any, count: int) -> tuple[tuple[float, float], ...]:
    given = list(window) if isinstance(window, Sequence) and not isinstance(window, str) else [window]
    several = bool(given) and all(isinstance(pair, Sequence) and not isinstance(pair, str) for pair in given)
    pairs = [list(pair) for pair in given] if several else [given] * count
    if any(len(pair) != 2 or not all(_is_number(value) for value in pair) for pair in pairs):
        raise ConfigError(
            f"data.window={window} is no pair of numbers; give [low, high], the raw values that become 0 and 255, "
            "or a list of such pairs, one a channel"
        )
    if upside_down := [pair for pair in pairs if pair[0] >= pair[1]]:
        raise ConfigError(f"data.window={window}: {upside_down[0]} is upside down; give [low, high] with low < high")
    if len(pairs) != count:
        raise ConfigError(
            f"data.window={window} has {len(pairs)} pairs but there are {count} channels; give one for all or {count}"
        )
    return tuple((float(low), float(high)) for low, high in pairs)


def _indices(channels: Any) -> tuple[int, ...]:
    given = list(channels) if isinstance(channels, Sequence) and not isinstance(channels, str) else []
    if not given or not all(isinstance(index, int) and not isinstance(index, bool) and index >= 0 for index in given):
        raise ConfigError(
            f"data.channels={channels} is no list of channels; give the indices of the file's channels, such as [0] "
            "for grey or [3, 2, 1]"
        )
    return tuple(given)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
