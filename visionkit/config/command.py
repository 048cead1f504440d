"""Run a command: check its arguments, compose its config with Hydra, hand it to `main`, report errors plainly."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from visionkit.config import checks, help_page, overrides
from visionkit.config.arguments import quote_path, rewrite
from visionkit.config.folders import conf_dir, sweep_dir
from visionkit.errors import ConfigError, UserError


class Trial(NamedTuple):
    """One training of a sweep, composed and not yet begun."""

    config: DictConfig
    choices: dict[str, Any]
    overrides: list[str]


class Command(NamedTuple):
    """What a command does with a composed config."""

    name: str
    """Of its config and its module."""
    main: Callable[[DictConfig, dict[str, Any]], Any]
    """Takes the composed config and the chosen option of each group."""
    open_nodes: Sequence[str] = ()
    """Nodes that are filled at run time, below which any key may be given."""
    constructors: Callable[[DictConfig], list[str]] | None = None
    """Returns the problems of the third layer: arguments that a class does not take. Imports torch."""
    sweep: Callable[[list[Trial]], None] | None = None
    """Runs the trials of `-m`; None where there is nothing to sweep."""


STARTED = time.perf_counter()
"""When the process began, its first imports apart: what set-up time counts from."""

FAILURE = 1
"""The exit code of a failure of the program, which is not the user's."""

USER_ERROR = 2
"""The exit code of an error that the user can put right."""

SIGNALLED = 128
"""What the number of a signal is added to, as shells have it: the exit code of a training that the signal has ended.

Its checkpoint is written then, unless it had not taken a step yet. 130 is Ctrl-C, 138 SIGUSR1, 143 SIGTERM.
"""

INTERRUPTED = SIGNALLED + signal.SIGINT
"""The exit code after Ctrl-C."""

MANY = 500
"""Modules: as torch has them, and nothing that is imported later."""


def run(command: Command) -> None:
    """Run a command with the arguments of the process; never returns on an error.

    An error that the user can put right is printed without a traceback and ends with exit code 2; a bug of ours
    keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed by Hydra
    yield_cores()
    trials: list[Trial] = []
    typed = sys.argv[1:]

    def job(config: DictConfig) -> Any:
        sys.argv[1:] = typed  # Hydra has read its own; what is recorded is what a person types
        hydra_config = HydraConfig.get()
        choices = dict(hydra_config.runtime.choices)
        if hydra_config.mode == RunMode.MULTIRUN:
            config.run_dir = f"{hydra_config.sweep.dir}/{hydra_config.job.num}"
            trials.append(Trial(config, choices, list(hydra_config.overrides.task)))
            return None
        with errors_for_people():  # here as well, or Hydra writes a line of its own
            return command.main(config, choices)

    with errors_for_people():
        if not _prepare(command):
            return
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command.name)(job)()
        if trials and command.sweep is not None:
            command.sweep(trials)


def _prepare(command: Command) -> bool:
    """Check the process's arguments and rewrite them for Hydra; return whether there is anything left to do."""
    typed = sys.argv[1:]
    arguments = overrides.parse(rewrite(typed, command.open_nodes), typed)
    flags = arguments.flags
    if flags.help:
        print(help_page.page(command.name, overrides.config_dirs(flags)))
        return False
    sys.argv[1:] = arguments.words
    if flags.shell_completion or flags.hydra_help:
        return True
    checked = overrides.check(command.name, arguments)
    if flags.cfg is not None or flags.info is not None:
        _refuse(checked.problems)
        return True
    found = [*checked.problems, *checks.problems(checked.config)]
    if found and checked.added and command.constructors is not None:  # else torch need not be imported to refuse
        found += command.constructors(checked.config)
    _refuse(found)
    if flags.multirun:
        if command.sweep is None:
            raise ConfigError(f"-m sweeps over trainings; visionkit.{command.name} runs once")
        if (resume := checked.config.get("resume")) is not None:
            raise ConfigError(f"resume={resume} goes on with one run, but -m begins several; leave one of them out")
        folder = sweep_dir(checked.config.run_dir, checked.task, arguments.overrides)
        sys.argv += [f"hydra.sweep.dir={quote_path(str(folder))}"]
    return True


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))


def yield_cores() -> None:
    """Let threads that wait for each other give up their core soon; to be called before torch is imported.

    By default OpenMP's threads spin for milliseconds. On a machine that does anything else beside the training, each
    of thousands of small convolutions then waits for a thread that waits for a core: forty times slower was seen.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "1000"


@contextmanager
def swift_imports() -> Iterator[None]:
    """Import without Python's looking for garbage, which takes a fifth of the time that torch and Lightning take.

    They make half a million objects that stay, so the search leaves them out from then on.
    """
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before + MANY:  # else there may be garbage among what would never be looked at again
            gc.freeze()
        gc.enable()


def say(text: str) -> None:
    """Print a message where errors go."""
    print(text, file=sys.stderr)


@contextmanager
def errors_for_people(tell: Callable[[str], None] = say) -> Iterator[None]:
    """Tell an error that the user can put right and end the process with its exit code."""
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        tell(message(error))
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def message(error: Exception) -> str:
    """Return an error as lines for a person."""
    # A loader's worker sends its traceback as the message; what it says is behind the last mention of the type.
    text = str(error).split(f"{type(error).__module__}.{type(error).__qualname__}: ")[-1]
    lines = [f"error: {line}" for line in text.strip().splitlines() if line.strip()]
    cause = error.__cause__
    if isinstance(error, HydraException) and cause is not None and str(cause).strip() not in str(error):
        lines += [f"       {line}" for line in str(cause).strip().splitlines()[:2]]
    return "\n".join(lines)
