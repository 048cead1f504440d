"""Say which heads a train config has, one or several: of each its task, its node, its neck and its loss's weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from visionkit.tasks.base import Task

Node = dict[str, Any]
"""A plain config node, interpolations resolved."""

COMBINED: Final = "combined"
"""The monitor of several heads: the mean of their tasks' own monitors."""

SETTINGS: Final = ("weight", "neck")
"""What stands beside a head's arguments at `heads.<name>`: no constructor takes them."""


class HeadConfig(NamedTuple):
    """What a config says of one head."""

    key: str
    """Where its node stands, dotted."""
    task_key: str
    """Where its task's node stands."""
    task: Node
    node: Node
    """Its constructor's arguments."""
    neck: str | None
    """The name of its neck; None for the backbone's own levels."""
    weight: float
    """What its loss is multiplied by."""


def heads(config: Mapping[str, Any]) -> dict[str, HeadConfig]:
    """Return the heads of a plain train config by name; with one task there is one, named after the task."""
    if several(config):
        return {
            name: HeadConfig(
                f"heads.{name}",
                f"tasks.{name}",
                config["tasks"][name],
                {key: value for key, value in node.items() if key not in SETTINGS},
                node.get("neck"),
                node.get("weight", 1.0),
            )
            for name, node in config["heads"].items()
            if "_target_" in node
        }
    return {config["name"]: HeadConfig("head", "task", config["task"], config["head"], _only_neck(config), 1.0)}


def several(config: Mapping[str, Any]) -> bool:
    """Return whether heads are chosen by name, as task=multitask does."""
    return "heads" in config


def necks(config: Mapping[str, Any]) -> dict[str, Node]:
    """Return the necks that a head of a plain train config reads, by name."""
    read = {head.neck for head in heads(config).values()}
    nodes = config["necks"] if several(config) else {"neck": config["neck"]}
    return {name: node for name, node in nodes.items() if name in read}


def written(config: Mapping[str, Any], key: str) -> str:
    """Return where a part of the network, such as `heads.<name>`, stands in a config: at `head` if there is but one."""
    return key if several(config) else {"heads": "head", "necks": "neck"}.get(key.partition(".")[0], key)


def monitor(config: Mapping[str, Any], tasks: Mapping[str, Task]) -> str:
    """Return the name under which what picks the best checkpoint is logged."""
    return f"val/{judged(config['task']['monitor'] if several(config) else None, tasks)}"


def judged(chosen: str | None, tasks: Mapping[str, Task]) -> str:
    """Return the name, without a split, of what a run is judged by.

    `chosen` is `task.monitor` where heads are chosen by name: `combined` or `<head>/<metric>`. The only head is judged
    by its own metric, which is logged without the head's name.
    """
    if len(tasks) > 1:
        return str(chosen)
    (task,) = tasks.values()
    return (chosen or "").partition("/")[2] or task.monitor


def with_nodes(config: Node, nodes: Mapping[str, Node]) -> Node:
    """Return a plain train config with other arguments for some of its heads, given by name."""
    if several(config):
        changed = {name: {**config["heads"][name], **node} for name, node in nodes.items()}
        return {**config, "heads": {**config["heads"], **changed}}
    return {**config, "head": nodes[config["name"]]}


def _only_neck(config: Mapping[str, Any]) -> str | None:
    return "neck" if config["neck"] else None
