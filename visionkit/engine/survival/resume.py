"""Find the run that a training goes on with, and the checkpoint that it goes on from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from visionkit.config.folders import short
from visionkit.config.frozen import FILE, thaw
from visionkit.config.values import AUTO, LAST, seconds
from visionkit.engine.survival.occupied import is_occupied
from visionkit.engine.survival.writing import FOLDER, newest_readable
from visionkit.errors import ConfigError

FREE = (
    "run_dir",
    "resume",
    "provenance",
    "save_every",
    "data.workers",
    "logger",
    "cluster",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.log_every_n_steps",
    "epochs",
    "budget",
    "trainer.max_epochs",
)
"""What a resumed run may change: where and how it runs, what it writes beside its results, and how long it trains."""


class Place(NamedTuple):
    """A run that is there already."""

    run_dir: Path
    finished: dict[str, Any] | None
    """Its `result.json`, when it has come to its end and is to train no longer than that."""
    checkpoint: Path | None
    """What it goes on from; None when it was ended before it wrote any, and begins anew in the same folder."""


def checkpoint_of(run_dir: Path) -> Path | None:
    """Return the checkpoint that a run goes on from; None when it has written none."""
    return newest_readable(run_dir / FOLDER)


def place(config: DictConfig) -> Place | None:
    """Return the run that a composed config goes on with; None for a new one.

    Raises ConfigError when `resume` names a folder without a checkpoint, or a run of another config.
    """
    if config.resume is None:
        return None
    if config.resume != AUTO:
        run_dir = _named(config)
    elif config.run_dir is None:
        return next(_unfinished(config), None)
    else:
        run_dir = Path(config.run_dir).expanduser().absolute()
        if not (run_dir / FILE).is_file():
            return None
    if is_occupied(run_dir):
        raise ConfigError(
            f"resume={config.resume}: another process is training in {short(run_dir)}; wait until it ends"
        )
    if found := differences(config, thaw(run_dir)):
        raise ConfigError("\n".join([_other_settings(config, run_dir), *found]))
    result = _result(run_dir)
    if result and not (_length(config) != _length(thaw(run_dir)) and _longer(config, result)):
        return Place(run_dir, result, None)
    checkpoint = checkpoint_of(run_dir)
    if checkpoint is None and config.resume != AUTO:
        raise ConfigError(f"resume={config.resume}: {short(run_dir)} holds no {FOLDER}/{LAST} to go on from")
    return Place(run_dir, None, checkpoint)


def differences(config: DictConfig, before: DictConfig) -> list[str]:
    """Return a line for each setting, but those that are free, that differs from that of a frozen run."""
    new, old = (dict(_values(OmegaConf.to_container(node, resolve=False), "")) for node in (config, before))
    return [
        f"{key} is {new.get(key, 'not there')}, in the run {old.get(key, 'not there')}"
        for key in dict.fromkeys([*new, *old])
        if new.get(key, _ABSENT) != old.get(key, _ABSENT) and not _is_free(key)
    ]


_ABSENT = object()


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _values(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for name, child in node.items():
            yield from _values(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def _other_settings(config: DictConfig, run_dir: Path) -> str:
    folder = short(run_dir)
    return (
        f"resume={config.resume}: the run in {folder} began with other settings, and cannot go on with these; give its "
        f"own command with resume={shlex.quote(folder)}: {thaw(run_dir).provenance.command}"
    )


def _named(config: DictConfig) -> Path:
    """Return the folder of the run that `resume` names: itself, or that of a checkpoint."""
    given = Path(config.resume).expanduser().absolute()
    run_dir = given.parent.parent if given.is_file() else given
    if not (run_dir / FILE).is_file():
        raise ConfigError(f"resume={config.resume}: {short(run_dir)} holds no {FILE}: it is not the folder of a run")
    if config.run_dir is not None and Path(config.run_dir).expanduser().absolute() != run_dir:
        raise ConfigError(
            f"resume={config.resume} goes on in the folder of its run, but run_dir={config.run_dir} is another; give "
            "one of them"
        )
    return run_dir


def _unfinished(config: DictConfig) -> Iterator[Place]:
    """Yield the runs below the working folder that were ended and are of the same config, the newest first."""
    files = sorted(Path("runs").absolute().glob(f"*/*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        run_dir = file.parent
        if _result(run_dir) or is_occupied(run_dir) or differences(config, thaw(run_dir)):
            continue
        if checkpoint := checkpoint_of(run_dir):
            yield Place(run_dir, None, checkpoint)


def _result(run_dir: Path) -> dict[str, Any] | None:
    """Return the `result.json` of a run that has come to its end; None for one that has not."""
    path = run_dir / "result.json"
    result: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return None if result is None or result["interrupted"] else result


def _length(config: DictConfig) -> tuple[Any, ...]:
    return config.epochs, config.budget, config.trainer.get("max_epochs")


def _longer(config: DictConfig, result: Mapping[str, Any]) -> bool:
    """Return whether a config asks for more than a run has done."""
    epochs = config.trainer.get("max_epochs") or config.epochs
    if epochs is not None:
        return bool(epochs > result["epochs"])
    return config.budget is not None and seconds(str(config.budget)) > result["seconds"]["training"]


def told(found: Place) -> str:
    """Return what to say of a run that is finished."""
    assert found.finished is not None
    epochs = found.finished["epochs"]
    return (
        f"the run in {short(found.run_dir)} is finished: {epochs} epochs, "
        f"{found.finished['seconds']['training']:.0f} s of training; to train for longer, give epochs={2 * epochs} or "
        "a longer budget"
    )
