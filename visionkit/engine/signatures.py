"""Check every `_target_` of a config against its constructor before anything is built."""

from __future__ import annotations

import inspect
import re
import traceback
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_object

from visionkit.engine.heads import SETTINGS
from visionkit.suggest import closest

RUN_TIME = {
    "neck": {"levels"},
    "necks": {"levels"},
    "head": {"levels", "num_classes", "auxiliary_classifiers"},
    "heads": {"levels", "num_classes", "auxiliary_classifiers"},
    "optimizer": {"params"},
    "trainer": {"callbacks", "logger"},
    "logger": {"save_dir"},
}
"""What the engine hands to the constructors of a group, and no config may give."""


def problems(node: Any, key: str = "") -> Iterator[str]:
    """Yield a line, with its dotted key, for each argument below `node` that a constructor does not take or misses."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield from _node_problems(node, key)
        for name, child in node.items():
            yield from problems(child, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from problems(child, f"{key}[{index}]")


def _node_problems(node: dict[str, Any], key: str) -> Iterator[str]:
    target = node["_target_"]
    if _open(target):
        return
    try:
        constructor = get_object(target)
    except (HydraException, ImportError, AttributeError, ValueError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]  # Hydra's own first line only repeats the target
        yield f"{key}._target_={target} cannot be imported: {reason}"
        return
    parameters = inspect.signature(constructor).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    given = {name: value for name, value in node.items() if not (name.startswith("_") and name.endswith("_"))}
    group, *below = key.split(".")
    if group == "heads" and len(below) == 1:
        given = {name: value for name, value in given.items() if name not in SETTINGS}
    run_time = RUN_TIME.get(group, set())
    settable = [name for name in parameters if name not in run_time]
    hints = _hints(constructor)
    for name, value in given.items():
        if name not in settable:
            close = closest(name, settable)
            meant = f"did you mean {key}.{close}? " if close else ""
            yield f"{key}.{name}={value}: {target} has no argument {name!r}; {meant}it takes {', '.join(settable)}"
        elif not _open(value) and not _fits(value, hints.get(name, Any)):
            yield f"{key}.{name}={value} is {type(value).__name__}; {target} takes {_name(hints[name])}"
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if required and name not in given and name not in run_time:
            yield f"{key}.{name} has no value; {target} needs it: {key}.{name}=..."


def _open(value: Any) -> bool:
    """Return whether a value is missing or refers to another: other checks speak of those."""
    return isinstance(value, str) and (value == "???" or "${" in value)


def _hints(constructor: Any) -> dict[str, Any]:
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # an annotation that exists for type checkers only
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Refuse what plain YAML lets through: text for a number, a number for a list, null for a value."""
    allowed = _members(hint)
    if any(member not in _PLAIN for member in allowed) or isinstance(value, dict):
        return not (isinstance(value, str) and allowed <= {int, float, bool, types.NoneType, *_tensors(allowed)})
    if isinstance(value, bool):
        return bool in allowed
    if isinstance(value, int):
        return bool(allowed & {int, float})
    return type(value) in allowed


_PLAIN = {int, float, bool, str, types.NoneType}


def _tensors(allowed: set[Any]) -> set[Any]:
    return {member for member in allowed if getattr(member, "__name__", "") == "Tensor"}


def _members(hint: Any) -> set[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return {member for part in typing.get_args(hint) for member in _members(part)}
    return {hint}


def _name(hint: Any) -> str:
    return " or ".join(
        sorted("null" if m is types.NoneType else getattr(m, "__name__", str(m)) for m in _members(hint))
    )


def refusal(key: str, error: Exception) -> str:
    """Return what a constructor said, with the key of its node where it does not name one itself.

    Constructors speak of `head`, `neck` and `task`; where there are several, the keys of this one stand there.
    """
    text = " ".join(str(error).split())
    group, _, name = key.partition(".")
    if name and group in ("heads", "necks", "tasks"):
        text = re.sub(rf"\b{group[:-1]}\.", f"{key}.", text)
    if name and group == "heads":
        text = re.sub(r"\bneck=", f"{key}.neck=", text)
    if isinstance(error, TypeError):  # seldom written for people: say where it arose
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{key}: {type(error).__name__}: {text} ({Path(frame.filename).name}, line {frame.lineno})"
    return text if re.match(rf"\w+(\.\w+)+=|{re.escape(key)}\b", text) else f"{key}: {text}"
