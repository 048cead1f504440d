"""Write a composed config into the run folder, and read it back: a run is a frozen file."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from visionkit.config.folders import PACKAGE
from visionkit.config.values import AUTO
from visionkit.errors import ConfigError

FILE = "config.yaml"


def freeze(
    config: DictConfig, run_dir: Path, command: str | None = None, before: Mapping[str, Any] | None = None
) -> None:
    """Write `run_dir/config.yaml`: all that a process needs to start or to repeat the run.

    Interpolations stay, so that a value still has one home; the command (by default the process's own) and the
    commit are recorded under `provenance`. `before` is what stood there when a run goes on: it is kept, and the new
    ones are added to its `resumed`.
    """
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain["run_dir"] = None  # the folder may be moved; it is where the file lies
    plain["resume"] = AUTO if plain["resume"] else None  # from whatever checkpoint lies beside the file
    now = {"command": command or command_line(), "commit": commit()}
    plain["provenance"] = {**before, "resumed": [*before.get("resumed", []), now]} if before else now
    aside = run_dir / f"{FILE}.part"
    aside.write_text(OmegaConf.to_yaml(OmegaConf.create(plain)), encoding="utf-8")
    aside.replace(run_dir / FILE)


def thaw(run_dir: Path) -> DictConfig:
    """Read the config of a run. Raises ConfigError when the folder holds none."""
    path = run_dir / FILE
    if not path.is_file():
        raise ConfigError(f"{run_dir} holds no {FILE}: it is not the folder of a run")
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    return config


def plain(node: Any) -> Any:
    """Return a node as plain dicts, lists and numbers, with interpolations resolved."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def command_line(overrides: Sequence[str] | None = None) -> str:
    """Return the command that a person could type again, with the process's own arguments or with others."""
    given = sys.argv[1:] if overrides is None else overrides
    arguments = [shlex.quote(argument) for argument in given]
    module = Path(sys.argv[0]).stem
    return " ".join(["python", "-m", f"visionkit.{module}", *arguments])


def commit() -> str | None:
    """Return the commit of the checkout that visionkit runs from, with `-dirty` behind it, or None outside one."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, check=False, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
