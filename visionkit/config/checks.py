"""Find what is missing from a composed config or contradicts itself, all at once and without torch."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from visionkit.config import values
from visionkit.errors import ConfigError
from visionkit.suggest import closest


def problems(config: DictConfig) -> list[str]:
    """Return a line for each problem of a `train` config, with its dotted key."""
    return missing(config) or list(_broken_interpolations(config)) or list(_contradictions(config))


def additions(config: DictConfig, overrides: Iterable[str], choices: Container[str]) -> list[str]:
    """Return a line for each `+a.b=...` of a command line whose node `a` builds nothing that could take it.

    Additions to nodes with a `_target_` are checked against its constructor; `+group=option` is Hydra's own.
    """
    found = []
    for override in overrides:
        match = re.match(r"\+([\w.]+)=", override)
        if match is None or match[1] in choices:
            continue
        parent, _, name = match[1].rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if not (isinstance(node, DictConfig) and "_target_" in node):
            close = closest(name, [str(key) for key in node or ()])
            meant = f"; did you mean {f'{parent}.' if parent else ''}{close}?" if close else ""
            found.append(f"{override}: there is no setting {match[1]}{meant}")
    return found


def missing(config: DictConfig) -> list[str]:
    """Return a line for each value that the user has to give."""
    # OmegaConf's own missing_keys stumbles over interpolations that refer to a missing value.
    return [f"{key} has no value; give it: {key}=..." for key in _unset(OmegaConf.to_container(config), "")]


def _unset(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _unset(child, f"{key}.{name}" if key else str(name))
    elif node == "???":
        yield key


def _broken_interpolations(config: DictConfig) -> Iterator[str]:
    try:
        OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        yield f"{error.full_key}: {str(error).splitlines()[0]}"


def _contradictions(config: DictConfig) -> Iterator[str]:
    if "reader" not in config.data:
        yield "data.reader: nothing reads the data; choose data=digits, image_folder, mask_folder or voc"
    root = config.data.get("root")
    if root is not None and not Path(root).expanduser().is_dir():
        yield f"data.root={root} is no folder; give the folder that holds your data"
    for key, check in (("budget", _budget), ("epochs", _epochs)):
        try:
            check(config.get(key))
        except ConfigError as error:
            yield str(error)
    trainer = config.trainer
    if str(trainer.get("precision", "")).startswith("16") and trainer.get("accelerator") == "cpu":
        yield f"trainer.precision={trainer.precision} needs a GPU; on a CPU choose bf16-mixed or 32-true"
    if config.get("epochs") is not None and config.get("budget") is not None:
        yield f"epochs={config.epochs} and budget={config.budget} contradict each other; give one of them"


def _budget(budget: Any) -> None:
    if budget is not None:
        values.seconds(str(budget))


def _epochs(epochs: Any) -> None:
    if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
        raise ConfigError(f"epochs={epochs} is no number of epochs; give a whole number of at least 1")
