"""Read the values that have a notation or a range of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.errors import ConfigError

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}

AUTO = "auto"
"""The value of `resume` that finds out by itself whether there is anything to go on with."""

LAST = "last.ckpt"
"""The checkpoint that a training goes on from."""

SPLITS = ("train", "val", "test")
"""The splits that a run knows; a data set may lack any of them."""


def seconds(text: str, key: str = "budget") -> float:
    """Return the seconds of a duration of a key, such as `90s`, `5min`, `2h` or `1.5h`.

    Raises ConfigError for anything else, zero and negative durations included.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise ConfigError(f"{key}={text} is no duration; write a number and a unit, such as {key}=90s, 5min or 2h")
    return float(match[1]) * _UNITS[match[2]]


def steps_or_seconds(value: int | str | None, key: str) -> tuple[int | None, float | None]:
    """Return an interval as a number of steps or as seconds; neither for None. Raises ConfigError for anything else."""
    if value is None:
        return None, None
    if not isinstance(value, int):
        return None, seconds(value, key)
    if isinstance(value, bool) or value < 1:
        raise ConfigError(f"{key}={value} is no interval; give a number of steps, such as {key}=200, or a duration")
    return value, None


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


def fold(text: str) -> tuple[int, int]:
    """Return (k, n) of `k/n`: the k-th of n folds validates. Raises ConfigError for anything else."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) or int(match[2]) < 2:
        raise ConfigError(
            f"data.fold={text} is no fold; write its number and how many there are, such as 1/5: 1/5, 2/5, ... 5/5"
        )
    return int(match[1]), int(match[2])


def pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression of `data.group`. Raises ConfigError when it is none."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"data.group={text} is no regular expression: {error}") from None


def chosen_classes(value: Any) -> dict[str, tuple[str, ...]]:
    """Return the classes of `data.classes`, a list or a mapping: each new name with the names it stands for.

    Raises ConfigError for anything else, and for a class named twice.
    """
    if isinstance(value, Mapping):
        pairs = [(new, old if isinstance(old, Sequence) and not isinstance(old, str) else [old])
                 for new, old in value.items()]  # fmt: skip
    elif isinstance(value, Sequence) and not isinstance(value, str):
        pairs = [(name, [name]) for name in value]
    else:
        pairs = []
    names = [name for new, old in pairs for name in (new, *old)]
    if not pairs or not all(old for _, old in pairs) or not all(isinstance(n, str | int) for n in names):
        raise ConfigError(
            f"data.classes={_shown(value)} names no classes; give a list, [dog,cat], or new names with those that they "
            "stand for, {vehicle:[car,truck],person:person}"
        )
    named: set[str] = set()
    for name in (str(name) for _, old in pairs for name in old):
        if name in named:
            raise ConfigError(f"data.classes={_shown(value)} names {name!r} twice; name each class once")
        named.add(name)
    return {str(new): tuple(str(name) for name in old) for new, old in pairs}


def _shown(value: object) -> str:
    return str(list(value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
