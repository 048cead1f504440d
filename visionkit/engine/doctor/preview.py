"""Draw training samples as a run would see them: augmented, at the network's size, with their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from visionkit.config.folders import conf_dir, options
from visionkit.config.frozen import plain
from visionkit.engine import build, heads
from visionkit.engine.pictures import draw_augmented
from visionkit.tasks.base import Task
from visionkit.types import Image


def tasks(config: Mapping[str, Any], chosen: str | None, kinds: tuple[str, ...]) -> dict[str, dict[str, Task]]:
    """Return the tasks that each picture draws, by its name and by head.

    That is the chosen task with all its heads, else one picture for each kind of label that the data have.
    """
    if chosen is not None and heads.several(config):
        return {chosen: {name: build.build(head.task) for name, head in heads.heads(config).items()}}
    if chosen is not None:
        return {chosen: {chosen: build.build(config["task"])}}
    built = {}
    for name, path in options([conf_dir()], "task").items():
        whole = OmegaConf.create(
            {"data": config["data"], "task": OmegaConf.load(path)}
        )  # it refers to settings of data
        if "_target_" in whole.task:  # else it is several
            built[name] = build.build(plain(whole)["task"])
    return {name: {name: task} for name, task in built.items() if task.kind in kinds}


def draw(config: Mapping[str, Any], tasks: Mapping[str, dict[str, Task]], count: int) -> list[tuple[str, Image]]:
    """Return pictures of so many samples with all that each shows, and their names.

    Raises ConfigError when a task cannot be served by the data.
    """
    drawn = []
    for name, own in tasks.items():
        node = {
            **config["data"],
            "batch_size": count,
            "workers": 0,
            "on_error": "skip",
        }  # the page tells of what cannot be used
        data = build.build_data(node, config["augment"], config["seed"], tuple(task.kind for task in own.values()))
        image = draw_augmented(data, own, build.class_names_of(own, data, node), count)
        if image is not None:
            drawn.append((name, image))
    return drawn
