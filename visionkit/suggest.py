"""Suggest the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice most like a word, or None when none is like it."""
    return next(iter(get_close_matches(word, list(choices), n=1)), None)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return the end of an error message: the closest of `choices`, or the first twenty when none is close."""
    names = list(choices)
    close = closest(word, names)
    if close is not None:
        return f"did you mean {close!r}?"
    return f"choose one of {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
