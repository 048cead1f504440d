"""Find the configs and name the folders of runs."""

from __future__ import annotations

import time
from pathlib import Path

from visionkit.errors import ConfigError

PACKAGE = Path(__file__).parent.parent


def conf_dir() -> Path:
    """Return the folder of the configs: the one inside an installed package, else the checkout's top-level one."""
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"no configs found in {PACKAGE / 'conf'} or {PACKAGE.parent / 'conf'}; install visionkit again")


def make_run_dir(run_dir: str | None, name: str) -> Path:
    """Create and return the folder of a run, absolute.

    `run_dir` is the user's own choice; None means `runs/<date>/<time>_<name>` below the working folder, with a
    number behind it where another run began in the same second. Raises ConfigError when the chosen folder
    already holds a run, so that no run overwrites another.
    """
    if run_dir is not None:
        chosen = Path(run_dir).expanduser().absolute()
        if (chosen / "config.yaml").exists():
            raise ConfigError(f"run_dir={run_dir} already holds a run; choose another folder or remove it")
        _mkdir(chosen, exist_ok=True)
        return chosen
    start = time.localtime()
    stem = Path("runs", time.strftime("%Y-%m-%d", start), f"{time.strftime('%H-%M-%S', start)}_{name}").absolute()
    number = 1
    while True:
        folder = stem if number == 1 else stem.with_name(f"{stem.name}_{number}")
        try:
            _mkdir(folder, exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return folder


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
