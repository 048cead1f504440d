"""Check a composed training before it begins: that every class takes its arguments and all parts fit, at no cost."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf

from visionkit.config import checks
from visionkit.config.frozen import plain
from visionkit.engine import build, signatures, weights
from visionkit.engine.build import Node
from visionkit.engine.quiet import quieten
from visionkit.errors import ConfigError, UserError


def check(config: DictConfig) -> None:
    """Raise one ConfigError that lists all that is missing, contradictory, unknown or does not fit together.

    Reads no data: networks are built without memory for their weights.
    """
    found = [*checks.problems(config), *constructors(config)] or list(_misfits(plain(config)))
    if found:
        raise ConfigError("\n".join(found))


def constructors(config: DictConfig) -> list[str]:
    """Return a line for each argument that a class does not take, or misses."""
    quieten()
    whole = cast(Node, OmegaConf.to_container(config, resolve=False))  # what is broken, other checks have said
    return [*signatures.problems(whole), *weights.problems(whole)]


def _misfits(config: Node) -> Iterator[str]:
    """Yield what the constructors of all parts but the loggers refuse; a part that needs a refused one is left out."""
    from visionkit.engine.setup import build_trainer, limits

    quieten()
    problems: list[str] = []

    def attempt(key: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (UserError, ValueError, TypeError) as error:
            problems.append(_line(key, error))
            return None

    tasks = attempt("task", lambda: build.build_tasks({config["name"]: config["task"]}))
    if tasks:
        attempt("head", lambda: build.check_heads(build.network_node(config), tasks))
    if tasks and not problems:
        with torch.device("meta"):
            backbone = attempt("backbone", lambda: build.build(config["backbone"]))
            neck = backbone
            if backbone and config["neck"]:
                neck = attempt("neck", lambda: build.build(config["neck"], levels=backbone.levels))
            head = neck and attempt("head", lambda: build.build(config["head"], levels=neck.levels, num_classes=2))
            parameters = [torch.nn.Parameter(torch.zeros(1))]
        if head:
            attempt("optimizer", lambda: build.build(config["optimizer"], params=parameters))
    attempt("scheduler", lambda: build.build(config["scheduler"]))
    attempt("data.reader", lambda: build.build(config["data"]["reader"]))
    attempt("augment", lambda: build.build(config["augment"]) if config["augment"] else None)
    for name, node in config["callbacks"].items():
        attempt(f"callbacks.{name}", lambda node=node: build.build(node))  # type: ignore[misc]
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    attempt("trainer", lambda: build_trainer({**limits(config), **config["trainer"]}, **quiet))
    yield from problems


def _line(key: str, error: Exception) -> str:
    """Return what a constructor said, with the key of its node where it does not name one itself."""
    text = " ".join(str(error).split())
    if isinstance(error, TypeError):  # seldom written for people: say where it arose
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{key}: {type(error).__name__}: {text} ({Path(frame.filename).name}, line {frame.lineno})"
    return text if re.match(rf"\w+(\.\w+)+=|{re.escape(key)}\b", text) else f"{key}: {text}"
