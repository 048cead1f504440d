"""Find the configs and name the folders of runs."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from visionkit.errors import ConfigError

PACKAGE = Path(__file__).parent.parent


def conf_dir() -> Path:
    """Return the folder of the configs: the one inside an installed package, else the checkout's top-level one."""
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"no configs found in {PACKAGE / 'conf'} or {PACKAGE.parent / 'conf'}; install visionkit again")


def options(folders: Sequence[Path], group: str) -> dict[str, Path]:
    """Return the files of a group's options by name; names with an underscore in front are not for choosing."""
    found = {path.stem: path for folder in folders for path in sorted((folder / group).glob("*.yaml"))}
    return {option: path for option, path in sorted(found.items()) if not option.startswith("_")}


def cache_dir() -> Path:
    """Return the folder for what can be made again: VISIONKIT_CACHE, else visionkit in the user's cache folder."""
    own = os.environ.get("VISIONKIT_CACHE")
    parent = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(own).expanduser() if own else Path(parent) / "visionkit"


def short(path: Path) -> str:
    """Return a path relative to the working folder where it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def make_run_dir(run_dir: str | None, name: str) -> Path:
    """Create and return the folder of a run, absolute.

    `run_dir` is the user's own choice; None means `runs/<date>/<time>_<name>` below the working folder, with a
    number behind it where another run began in the same second. Raises ConfigError when the chosen folder
    already holds a run, so that no run overwrites another.
    """
    if run_dir is not None:
        chosen = Path(run_dir).expanduser().absolute()
        if (chosen / "config.yaml").exists():
            raise ConfigError(f"run_dir={run_dir} already holds a run; choose another folder, or resume=auto to go on")
        _mkdir(chosen, exist_ok=True)
        return chosen
    start = time.localtime()
    stem = Path("runs", time.strftime("%Y-%m-%d", start), f"{time.strftime('%H-%M-%S', start)}_{name}").absolute()
    for folder in _numbered(stem):
        try:
            _mkdir(folder, exist_ok=False)
        except FileExistsError:
            continue
        break
    return folder


def sweep_dir(run_dir: str | None, task: str, overrides: Sequence[str]) -> Path:
    """Return the folder of a sweep's trials: the user's own choice, else one named after the task and the space.

    The name is `runs/sweeps/<task>_<hash of the overrides>`, with a number behind it where it is taken. Raises
    ConfigError when the chosen folder holds a run or a sweep already.
    """
    if run_dir is not None:
        chosen = Path(run_dir).expanduser().absolute()
        if any((chosen / name).exists() for name in ("config.yaml", "trials.csv")):
            raise ConfigError(f"run_dir={run_dir} already holds a run or a sweep; choose another folder or remove it")
        return chosen
    space = hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:8]
    stem = Path("runs", "sweeps", f"{task}_{space}").absolute()
    return next(folder for folder in _numbered(stem) if not folder.exists())


def _numbered(stem: Path) -> Iterator[Path]:
    """Yield a folder's path, then the same with a number behind it, from 2 on without end."""
    yield stem
    yield from (stem.with_name(f"{stem.name}_{number}") for number in count(2))


def _mkdir(folder: Path, *, exist_ok: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        if exist_ok:
            raise ConfigError(f"run_dir={folder} is a file; choose a folder") from None
        raise
    except OSError as error:
        raise ConfigError(
            f"cannot create the run folder {folder}: {error.strerror}; choose another with run_dir="
        ) from None
