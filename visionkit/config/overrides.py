"""Find what is wrong with a command's arguments, all at once: the first layer of errors, without torch."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from visionkit.config.folders import conf_dir, options
from visionkit.config.keys import Keys, values_of
from visionkit.errors import ConfigError
from visionkit.suggest import closest, did_you_mean


class Arguments(NamedTuple):
    """A command line, taken apart."""

    flags: Namespace
    words: list[str]
    """All of it, with paths quoted."""
    overrides: list[str]
    as_typed: Mapping[str, str]
    """What was typed, by override, for messages."""


class Checked(NamedTuple):
    """What came of a check."""

    problems: list[str]
    config: DictConfig
    """Composed of all that was right."""
    task: str
    """Of a train config; empty for the other commands."""
    added: list[str]
    """Arguments as typed that were added to nodes with a `_target_`; only the constructor can judge them."""


def parse(arguments: Sequence[str], typed: Sequence[str]) -> Arguments:
    """Take a command line apart; `typed` is what it was before paths were quoted.

    Raises ConfigError for an unknown flag.
    """
    parser = get_args_parser()
    known = sorted(parser._option_string_actions)  # argparse tells them nowhere else

    def refuse(message: str) -> None:
        word = message.rsplit(": ", 1)[-1].split()[0]
        name, _, value = word.lstrip("-").partition("=")
        if "unrecognized" not in message:
            raise ConfigError(f"{message}; --help shows the flags")
        if close := closest(word, known):
            raise ConfigError(f"there is no flag {word}; did you mean {close}? --help shows all")
        raise ConfigError(
            f"there is no flag {word}; settings are written key=value, without dashes: {name}={value or '...'}"
        )

    parser.error = refuse  # type: ignore[assignment, method-assign]
    flags = parser.parse_args(list(arguments))
    return Arguments(flags, list(arguments), flags.overrides, dict(zip(arguments, typed, strict=True)))


def check(name: str, arguments: Arguments) -> Checked:
    """Return every problem of the arguments of the command `name`, and the config that the others compose."""
    folders = config_dirs(arguments.flags)
    name = _primary(name, arguments.flags, folders)
    search = [f"hydra.searchpath=[{','.join(repr(f'file://{folder}') for folder in folders[1:])}]"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        read = _Reader(arguments, GlobalHydra.instance().config_loader(), folders)
        found, chosen, values = read.groups()
        kept = [_single(override) for override in chosen] if not found else []
        refused = None
        try:
            config = compose(name, overrides=[*search, *kept], return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            refused, kept = error, []
            config = compose(name, overrides=search, return_hydra_config=True)  # to compare keys with
        keys = Keys(config, folders, bool(arguments.flags.multirun), arguments.as_typed)
        if not kept:
            homeless = [problem for o in chosen if (problem := keys.not_chosen(o, read.typed(o)))]
            found += homeless or ([_first_lines(refused)] if refused else [])
        changed = False
        for override in values:
            if problem := keys.problem(override):
                found.append(problem)
            else:
                kept.append(_single(override))
                changed = True
        config = keys.config
        try:
            if changed:
                config = compose(name, overrides=[*search, *kept])
        except (HydraException, OmegaConfBaseException) as error:
            if not found:
                found.append(_first_lines(error))
    return Checked(found, config, str(keys.choices.get("task", "")), keys.added)


def config_dirs(flags: Namespace) -> list[Path]:
    """Return the folders of configs: ours, then the user's. Raises ConfigError when the user's is not there."""
    if flags.config_dir is None:
        return [conf_dir()]
    own = Path(flags.config_dir).expanduser().absolute()
    if not own.is_dir():
        raise ConfigError(
            f"--config-dir={flags.config_dir} is no folder; give one with groups, such as backbone/mine.yaml"
        )
    return [conf_dir(), own]


def _primary(name: str, flags: Namespace, folders: Sequence[Path]) -> str:
    chosen = str(flags.config_name or name)
    if flags.config_path is not None or not any((folder / f"{chosen}.yaml").is_file() for folder in folders):
        raise ConfigError(
            f"there is no config {chosen} to begin with; this command begins with {name}. Options of your own come "
            "with --config-dir my_conf, where my_conf/backbone/mine.yaml is backbone=mine"
        )
    return chosen


class _Reader:
    """Reads the overrides of a command line and sorts them into choices of groups and values."""

    def __init__(self, arguments: Arguments, loader: ConfigLoader, folders: Sequence[Path]) -> None:
        self.arguments = arguments
        self.loader = loader
        self.folders = folders
        self.names = sorted(
            {path.name for folder in self.folders for path in folder.iterdir() if path.is_dir() and path.name[0] != "."}
        )

    def typed(self, override: Override) -> str:
        """Return an override as the person typed it."""
        text = str(override.input_line)
        return self.arguments.as_typed.get(text, text)

    def groups(self) -> tuple[list[str], list[Override], list[Override]]:
        """Return the problems so far, the choices of groups that are right, and the overrides of values."""
        problems: list[str] = []
        chosen: list[Override] = []
        values: list[Override] = []
        for text in self.arguments.overrides:
            typed = self.arguments.as_typed.get(text, text)
            try:
                override = OverridesParser.create().parse_override(text)
            except HydraException as error:
                problems.append(self._unreadable(typed, error))
                continue
            if override.key_or_group.split("/")[0].split(".")[0] == "hydra":
                chosen.append(override)
            elif override.key_or_group in self.names and override.package is None and not override.is_delete():
                found = list(self._wrong_options(override, typed))
                problems += found
                if not found:
                    chosen.append(override)
            else:
                values.append(override)
        return problems, chosen, values

    def _unreadable(self, typed: str, error: Exception) -> str:
        if "=" not in typed:
            for group in self.names:
                if typed in options(self.folders, group):
                    return f"{typed} is not of the form key=value; did you mean {group}={typed}?"
            return f"{typed} is not of the form key=value; write it without spaces around the ="
        key, _, value = typed.partition("=")
        return (
            f"{typed}: the value cannot be read ({str(error).splitlines()[0]}); a list is written {key}=[a,b], and a "
            f"text with special characters in two kinds of quotes: \"{key}='{value}'\""
        )

    def _wrong_options(self, override: Override, typed: str) -> Iterator[str]:
        group = override.key_or_group
        known = options(self.folders, group)
        if override.is_sweep_override() and not self.arguments.flags.multirun:
            yield f"{typed}: several values are a sweep of one training each; put -m before them, or choose one"
            return
        if override.value() is None:
            return
        if isinstance(override.value(), list | dict):
            yield f"{typed}: a group takes one option; choose one of {', '.join(known)}"
            return
        for option in values_of(override):
            if option not in known and not (self.loader.get_group_options(group).count(option)):
                yield f"{group}={option}: {group} has no option {option!r}; {did_you_mean(option, known)}" + (
                    f" (there are {', '.join(known)})" if closest(option, known) and len(known) <= 20 else ""
                )


def _single(override: Override) -> str:
    """Return an override that composes; of a sweep, with its first value."""
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def _first_lines(error: Exception) -> str:
    text = str(error) if error.__cause__ is None else f"{error}\n{error.__cause__}"
    return "\n".join(re.sub(r"\s+", " ", line) for line in text.strip().splitlines()[:2] if line.strip())
