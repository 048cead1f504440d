"""Values with a notation of their own are read as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from visionkit.config.values import chosen_classes, fold, pattern, seconds
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


@pytest.mark.parametrize(("text", "expected"), [("1/5", (1, 5)), ("5/5", (5, 5)), ("2/10", (2, 10)), ("1/2", (1, 2))])
def test_folds(text: str, expected: tuple[int, int]) -> None:
    assert fold(text) == expected


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "x", "1", "1/5 ", "-1/5", "1/5/5", "0.2", ""])
def test_refused_folds_say_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match=r"data.fold=.* is no fold; .* such as 1/5"):
        fold(text)


def test_patterns() -> None:
    found = pattern(r"^(p\d+)_").match("p12_3.png")
    assert found is not None
    assert found[1] == "p12"
    with pytest.raises(ConfigError, match=r"data.group=\(a is no regular expression: missing \)"):
        pattern("(a")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["dog", "cat"], {"dog": ("dog",), "cat": ("cat",)}),
        ([3, "7"], {"3": ("3",), "7": ("7",)}),
        ({"vehicle": ["car", "truck"], "person": "person"}, {"vehicle": ("car", "truck"), "person": ("person",)}),
        ({"low": [0, 1], 2: 2}, {"low": ("0", "1"), "2": ("2",)}),
    ],
)
def test_chosen_classes(value: Any, expected: dict[str, tuple[str, ...]]) -> None:
    found = chosen_classes(value)
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize("value", ["dog", 3, [], {}, {"a": []}, [["a"]], [None], {"a": {"b": "c"}}, [1.5], {"a": None}])
def test_what_names_no_classes(value: Any) -> None:
    with pytest.raises(ConfigError, match="names no classes"):
        chosen_classes(value)


@pytest.mark.parametrize("value", [["a", "b", "a"], {"x": ["a", "b"], "y": "a"}, {"x": ["a", "a"]}, [1, "1"]])
def test_a_class_is_named_once(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"names '[a1]' twice"):
        chosen_classes(value)
