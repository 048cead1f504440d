"""Draw training samples as a run would see them: augmented, at the network's size, with their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from visionkit.config.folders import conf_dir, options
from visionkit.config.frozen import plain
from visionkit.engine import build
from visionkit.engine.pictures import draw_augmented
from visionkit.tasks.base import Task
from visionkit.types import Image


def tasks(config: Mapping[str, Any], chosen: str | None, kinds: tuple[str, ...]) -> dict[str, Task]:
    """Return the chosen task, else one for each kind of label that the data have, by name."""
    if chosen is not None:
        return {chosen: build.build(config["task"])}
    built = {}
    for name, path in options([conf_dir()], "task").items():
        whole = OmegaConf.create(
            {"data": config["data"], "task": OmegaConf.load(path)}
        )  # it refers to settings of data
        built[name] = build.build(plain(whole)["task"])
    return {name: task for name, task in built.items() if task.kind in kinds}


def draw(config: Mapping[str, Any], tasks: Mapping[str, Task], count: int) -> list[tuple[str, Image]]:
    """Return a picture of so many samples a task, with what it shows.

    Raises ConfigError when a task cannot be served by the data.
    """
    drawn = []
    for name, task in tasks.items():
        node = {
            **config["data"],
            "batch_size": count,
            "workers": 0,
            "on_error": "skip",
        }  # the page tells of what cannot be used
        data = build.build_data(node, config["augment"], config["seed"], (task.kind,))
        names = build.class_names_of({name: task}, data, node)[name]
        image = draw_augmented(data, {name: task}, {name: names}, count)
        if image is not None:
            drawn.append((name, image))
    return drawn
