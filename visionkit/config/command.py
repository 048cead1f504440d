"""Run a command: compose its config with Hydra, hand it to `main`, and report errors as a person would."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from visionkit.config.arguments import rewrite
from visionkit.config.checks import additions
from visionkit.config.folders import conf_dir
from visionkit.errors import ConfigError, UserError

Main = Callable[[DictConfig, dict[str, Any]], float | None]
"""Takes the composed config and the chosen option of each group; returns what a sweeper maximises."""

STARTED = time.perf_counter()
"""When the process began, its first imports apart: what set-up time counts from."""

USER_ERROR = 2
"""The exit code of an error that the user can put right."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def run(name: str, main: Main, open_nodes: Sequence[str] = ()) -> None:
    """Compose `conf/<name>.yaml` with the command line and call `main`; never returns on an error.

    An error that the user can put right is printed without a traceback and ends with exit code 2; a bug of ours
    keeps its traceback.
    """
    sys.argv[1:] = rewrite(sys.argv[1:], open_nodes)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed by Hydra
    yield_cores()

    def job(config: DictConfig) -> float | None:
        hydra_config = HydraConfig.get()
        choices = dict(hydra_config.runtime.choices)
        if hydra_config.mode == RunMode.MULTIRUN and config.get("run_dir") is None:
            config.run_dir = f"{hydra_config.sweep.dir}/{hydra_config.sweep.subdir}"
        with _errors_for_people():  # here as well, or Hydra writes a line of its own
            if found := additions(config, hydra_config.overrides.task, choices):
                raise ConfigError("\n".join(found))
            return main(config, choices)

    with _errors_for_people():
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)()


def yield_cores() -> None:
    """Let threads that wait for each other give up their core soon; to be called before torch is imported.

    By default OpenMP's threads spin for milliseconds. On a machine that does anything else beside the training, each
    of thousands of small convolutions then waits for a thread that waits for a core: forty times slower was seen.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "1000"


@contextmanager
def _errors_for_people() -> Iterator[None]:
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(_message(error), file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _message(error: Exception) -> str:
    # A loader's worker sends its traceback as the message; what it says is behind the last mention of the type.
    text = str(error).split(f"{type(error).__module__}.{type(error).__qualname__}: ")[-1]
    lines = [f"error: {line}" for line in text.strip().splitlines() if line.strip()]
    cause = error.__cause__
    if isinstance(error, HydraException) and cause is not None and str(cause).strip() not in str(error):
        lines += [f"       {line}" for line in str(cause).strip().splitlines()[:2]]
    return "\n".join(lines)
