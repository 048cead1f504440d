"""Write the help page of a command out of the comments in its configs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from visionkit.config.folders import conf_dir, options

WIDTH = 120

FLAGS = {
    "--help": "this page",
    "--cfg job": "print every setting as it would be used, without running; with -p optimizer that part alone",
    "--config-dir my_conf": "a folder with options of your own: my_conf/backbone/mine.yaml is backbone=mine",
}
SWEEP = {"-m": "a training for each combination of values with commas: -m backbone=vgg_tiny,resnet_tiny seed=0,1"}


def page(name: str, folders: Sequence[Path]) -> str:
    """Return the help page of the command whose config is `conf/<name>.yaml`."""
    text = (conf_dir() / f"{name}.yaml").read_text(encoding="utf-8")
    about, examples = _header(text)
    sections = [
        [about, "", f"usage: python -m visionkit.{name} group=option key=value ..."],
        ["Examples", *(f"  {line}" for line in examples)],
    ]
    groups = list(_groups(text))
    if groups:
        sections.append(
            ["Groups: group=option chooses one, group.key=value changes a setting of it (* is the default)"]
        )
        sections += [list(_group(folders, *group)) for group in groups]
    sections.append(["Keys", *_aligned(_keys(text))])
    flags = {**FLAGS, **(SWEEP if name == "train" else {})}
    sections.append(["Flags", *_aligned(flags.items())])
    return "\n\n".join("\n".join(section) for section in sections)


def examples(name: str) -> list[str]:
    """Return the commands that the help page of a command shows."""
    lines = _header((conf_dir() / f"{name}.yaml").read_text(encoding="utf-8"))[1]
    return [re.split(r"\s{2,}#", line)[0] for line in lines]


def _header(text: str) -> tuple[str, list[str]]:
    """Return the first comment of a command's config and the indented lines below it."""
    comments = [line[1:] for line in text.split("\ndefaults:")[0].splitlines() if line.startswith("#")]
    return comments[0].strip(), [line.strip() for line in comments[1:]]


def _groups(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and comment of each group of the defaults list."""
    yield from re.findall(r"^  - (\w+): (\S+)(?:\s+# (.*))?$", text, flags=re.MULTILINE)


def _group(folders: Sequence[Path], name: str, default: str, comment: str) -> Iterator[str]:
    yield f"  {name}: {comment}" if comment else f"  {name}"
    known = options(folders, name)
    rows = [(f"{'*' if option == default else ' '} {option}", _about(path)) for option, path in known.items()]
    yield from (f"  {line}" for line in _aligned(rows))


def _about(path: Path) -> str:
    """Return the first comment of an option that is for people."""
    lines = [line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return next((line.rstrip(".") for line in lines if not line.startswith("@")), "")


def _keys(text: str) -> Iterator[tuple[str, str]]:
    """Yield each root key with its default, and its comment."""
    parent = ""
    for indent, name, value, comment in re.findall(r"^( *)(\w+):[ ]?(.*?)\s+# (.*)$", text, flags=re.MULTILINE):
        if name == "hydra":
            return
        parent = parent if indent else name
        key = f"{parent}.{name}" if indent else name
        if (value or not indent) and name != "name":  # that one is filled in by the command
            yield (f"{key}={value}" if value else f"{key}.*"), comment


def _aligned(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    pairs = list(rows)
    column = min(34, max((len(left) for left, _ in pairs), default=0)) + 4
    for left, right in pairs:
        wrapped = textwrap.wrap(right, WIDTH - column) or [""]
        yield f"  {left:{column - 2}}{wrapped[0]}".rstrip()
        yield from (" " * column + line for line in wrapped[1:])
