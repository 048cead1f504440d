"""Read the values that have a notation of their own."""

from __future__ import annotations

import re

from visionkit.errors import ConfigError

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `5min`, `2h` or `1.5h`.

    Raises ConfigError for anything else, zero and negative durations included.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise ConfigError(f"budget={text} is no duration; write a number and a unit, such as budget=90s, 5min or 2h")
    return float(match[1]) * _UNITS[match[2]]
