"""Build the network that a summary is of, on the meta device: from a config or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from hydra import compose
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from visionkit.config.folders import conf_dir, options
from visionkit.config.frozen import plain
from visionkit.config.head_checks import head_problems
from visionkit.config.values import image_size
from visionkit.engine import balancing, build, checkpoint, heads, misfit, signatures
from visionkit.engine.quiet import quieten
from visionkit.errors import ConfigError, UserError
from visionkit.models.contracts import Head
from visionkit.models.network import Network
from visionkit.tasks.base import Task

_NODES = ("backbone", "neck", "necks", "head", "heads")
_OF_ANY_NETWORK = ("checkpoint", "size", "data.size", "format", "out", "trusted")


class Composed(NamedTuple):
    """A network without memory for its weights, and what a person calls it."""

    network: Network
    title: str
    settings: dict[str, Any]
    size: tuple[int, int]


def of_checkpoint(config: DictConfig, given: Sequence[str]) -> Composed:
    """Return the network of a checkpoint, at its own size unless `size` is among the given overrides.

    Raises ConfigError when other overrides describe a network too, CheckpointError when it cannot be built.
    """
    keys = {override.lstrip("+~").partition("=")[0] for override in given}
    if other := [text for text in given if text.lstrip("+~").partition("=")[0] not in _OF_ANY_NETWORK]:
        raise ConfigError(
            f"checkpoint={config.checkpoint} is a whole network already; leave out {' and '.join(other)}, "
            "or leave out the checkpoint"
        )
    model = checkpoint.load_model(config.checkpoint, config.trusted)
    own = image_size(model.manifest["size"])
    size = image_size(plain(config.data.size)) if keys & {"size", "data.size"} else own
    classes = {name: len(names) for name, names in model.class_names.items()}
    settings = {"checkpoint": str(config.checkpoint), "task": ", ".join(classes), "num_classes": classes}
    return Composed(model.network.to("meta"), Path(config.checkpoint).name, settings, size)


def of_config(config: DictConfig, choices: Mapping[str, Any], given: Sequence[str]) -> Composed:
    """Return the network of a config; where no task was given and the head is not the default's, that of the head.

    Raises ConfigError when arguments are unknown, or parts or the size do not fit.
    """
    if found := list(head_problems(config)):
        raise ConfigError("\n".join(found))
    task, keys = str(choices["task"]), {override.partition("=")[0] for override in given}
    if "head" in keys and "task" not in keys:
        task = _task_of(config, task)
        if task != choices["task"]:
            config = compose("summary", overrides=[*given, f"task={task}"])
    quieten()
    nodes = {key: OmegaConf.to_container(config[key]) for key in _NODES if key in config}
    if found := list(signatures.problems(nodes)):
        raise ConfigError("\n".join(found))
    parts = cast(dict[str, Any], plain(config))
    size = image_size(parts["data"]["size"], "size")
    channels = parts["backbone"].get("in_channels", 3)
    parts |= {
        "name": task,
        "normalize": {"mean": [0.5] * channels, "std": [0.5] * channels},
        "init": {"backbone": None, "network": None},
    }
    parts = balancing.without_words(parts)
    node = _attempt("backbone", lambda: build.network_node(parts))
    chosen = heads.heads(parts)
    if "head" in keys or heads.several(parts):  # else it is the task's own
        tasks = {name: cast(Task, get_class(head.task["_target_"])) for name, head in chosen.items()}
        build.check_heads(chosen, tasks)
    classes = dict.fromkeys(chosen, config.num_classes)
    with torch.device("meta"):
        network = build.join(node, classes, lambda key, make: _attempt(heads.written(parts, key), make))
    assert network is not None  # a part that is refused raises
    if wrong := _attempt("backbone", lambda: misfit.of_backbone(node["backbone"], network.backbone, size, "size")):
        raise ConfigError(wrong)
    option, of_library = str(choices["backbone"]), str(node["backbone"].get("name", ""))
    named = option if of_library in ("", option) else f"{option} {of_library}"  # such as timm inception_v4
    names = [named, *(type(part).__name__ for part in (*network.necks.values(), *network.heads.values()))]
    settings = {"task": task, "backbone": names[0], "num_classes": config.num_classes}
    return Composed(network.eval(), ", ".join(names), settings, size)


def _task_of(config: DictConfig, chosen: str) -> str:
    """Return the task that a config's head is made for."""
    head: type[Head] = get_class(config.head._target_)
    nodes = {name: cast(DictConfig, OmegaConf.load(path)) for name, path in options([conf_dir()], "task").items()}
    tasks: dict[str, type[Task]] = {
        name: get_class(node["_target_"]) for name, node in nodes.items() if "_target_" in node
    }
    fitting = [name for name, task in tasks.items() if task.kind == head.kind]
    return chosen if chosen in fitting or not fitting else fitting[0]


def _attempt(key: str, make: Callable[[], Any]) -> Any:
    """Build a part; what its constructor refuses becomes an error for people."""
    try:
        return make()
    except (UserError, ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(signatures.refusal(key, error)) from error
