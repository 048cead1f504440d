"""Turn the entries of an augmentation config into transforms, or say what is wrong with them."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from visionkit.errors import ConfigError

Constructor = Callable[..., Any]


class Choices(NamedTuple):
    """What an entry may name."""

    transforms: Mapping[str, Constructor]
    groups: Mapping[str, Constructor]  # take a list of `transforms`


def build(entry: Any, where: str, choices: Choices, check: Callable[[Any, str], None]) -> Any:
    """Return the transform of one entry such as `{"HorizontalFlip": {"p": 0.5}}`.

    `where` is the dotted key for messages; `check` is called with every transform and its place and may refuse it. A
    warning from a constructor counts as an error.

    Raises:
        ConfigError: The entry has another form, the name or an argument is unknown, or a value is refused.
    """
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ConfigError(f"{where}: {entry!r} is no transform; write it as `- HorizontalFlip: {{p: 0.5}}`")
    name, given = next(iter(entry.items()))
    constructor = choices.groups.get(name) or choices.transforms.get(name)
    if constructor is None:
        raise ConfigError(
            f"{where}: there is no transform {name!r}{_meant(name, (*choices.transforms, *choices.groups))}"
        )
    where = f"{where}.{name}"
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"{where}: {given!r} are no arguments; write them as `{{p: 0.5}}`")
    arguments = dict(given or {})
    allowed = tuple(inspect.signature(constructor).parameters)
    for argument in arguments:
        if argument not in allowed:
            raise ConfigError(
                f"{where}: has no argument {argument!r}{_meant(argument, allowed)}; it has {', '.join(allowed)}"
            )
    if name in choices.groups:
        inner = arguments.get("transforms")
        if not isinstance(inner, Sequence) or isinstance(inner, str) or not inner:
            raise ConfigError(f"{where}: needs `transforms`, a list of at least one transform")
        arguments["transforms"] = [build(one, f"{where}.transforms", choices, check) for one in inner]
    transform = _construct(constructor, arguments, where)
    if name not in choices.groups:
        check(transform, where)
    return transform


def _construct(constructor: Constructor, arguments: dict[str, Any], where: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return constructor(**arguments)
    except (TypeError, ValueError, Warning) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}: refuses {arguments}: {reason}") from error


def _meant(name: str, known: Sequence[str]) -> str:
    """Return the suggestion that ends a message."""
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
