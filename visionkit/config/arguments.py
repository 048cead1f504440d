"""Rewrite command-line arguments that Hydra's grammar cannot read as a person means them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PATH_KEYS = ("source", "checkpoint", "data.root", "data.leave_out", "data.group", "run_dir", "resume", "out")
"""What takes a path; a regular expression is quoted alike."""

SOURCE_KEYS = ("init.backbone", "init.network")
"""What takes a name or a path. Commas between names, or between files that are there, part the trials of a sweep."""


def rewrite(arguments: Sequence[str], open_nodes: Sequence[str] = ()) -> list[str]:
    """Quote the values that are paths, and let keys below `open_nodes` be given freely.

    A path keeps its spaces, commas, `=`, parentheses and umlauts, and `~` is the home folder. `open_nodes` are
    nodes that are filled at run time (`data` of the evaluate command): `data.root=x` then becomes `++data.root=x`.
    """
    return [_rewrite_one(argument, open_nodes) for argument in arguments]


def _rewrite_one(argument: str, open_nodes: Sequence[str]) -> str:
    match = re.match(r"(\+{0,2})([\w.@/]+)=(.*)", argument, flags=re.DOTALL)
    if match is None:
        return argument
    plus, key, value = match.groups()
    if any(key.startswith(f"{node}.") for node in open_nodes):
        plus = "++"
    if key in SOURCE_KEYS and not Path(value).expanduser().exists() and all(map(_is_source, value.split(","))):
        value = ",".join(quote_path(part) for part in value.split(","))
    elif key in PATH_KEYS or key in SOURCE_KEYS:
        value = quote_path(value)
    return f"{plus}{key}={value}"


def _is_source(part: str) -> bool:
    """Return whether a part between commas can be meant as it stands: a name, or a file that is there."""
    return re.fullmatch(r"[\w:]+", part) is not None or Path(part).expanduser().is_file()


def quote_path(value: str) -> str:
    """Return a path as a quoted string of Hydra's grammar; `null`, `???` and quoted values stay as they are."""
    if value in {"", "null", "???"} or (len(value) > 1 and value[0] == value[-1] and value[0] in "'\""):
        return value
    path = str(Path(value).expanduser()) if value.startswith("~") else value
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), path)
    return f"'{escaped.replace('${', chr(92) + '${')}'"
