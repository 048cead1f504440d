"""Durations are read as people write them."""

from __future__ import annotations

import pytest

from visionkit.config.values import seconds
from visionkit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("5min", 300), ("2h", 7200), ("1.5h", 5400), (" 3 min ", 180)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["90", "5 minutes", "-1s", "0s", "", "s", "1e3s", "2h30"])
def test_refused_durations_say_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match="budget=90s, 5min or 2h"):
        seconds(text)
