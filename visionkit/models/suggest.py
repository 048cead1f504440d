"""Suggest the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return the end of an error message: the closest of `choices`, or the first twenty when none is close."""
    names = list(choices)
    close = get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose one of {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
