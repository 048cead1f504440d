"""Read the values that have a notation or a range of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from visionkit.errors import ConfigError

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}

SPLITS = ("train", "val", "test")
"""The splits that a run knows; a data set may lack any of them."""


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `5min`, `2h` or `1.5h`.

    Raises ConfigError for anything else, zero and negative durations included.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise ConfigError(f"budget={text} is no duration; write a number and a unit, such as budget=90s, 5min or 2h")
    return float(match[1]) * _UNITS[match[2]]


def image_size(size: int | Sequence[int], key: str = "data.size") -> tuple[int, int]:
    """Return (height, width) in pixels of a key: one number or [height, width]. Raises ConfigError otherwise."""
    both = [size, size] if isinstance(size, int) else list(size) if isinstance(size, Sequence) else []
    whole = [side for side in both if isinstance(side, int) and not isinstance(side, bool) and side > 0]
    if len(both) != 2 or len(whole) != 2:
        raise ConfigError(f"{key}={_shown(size)} is no image size; give one number of pixels or [height, width]")
    return whole[0], whole[1]


def checkpoint_file(path: str | Path) -> Path:
    """Return the path of a checkpoint, `~` expanded. Raises ConfigError when no file is there."""
    found = Path(path).expanduser()
    if not found.is_file():
        raise ConfigError(f"checkpoint={path} is no file; give the path of a best.ckpt or last.ckpt")
    return found


def source_path(path: str | Path) -> Path:
    """Return the path of an image or of a folder, `~` expanded. Raises ConfigError when nothing is there."""
    found = Path(path).expanduser()
    if not found.exists():
        raise ConfigError(f"source={path} is neither a file nor a folder; give an image or a folder of images")
    return found


def _shown(value: object) -> str:
    return str(list(value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
