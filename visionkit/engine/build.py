"""Build the parts of a run from config nodes; the only place that calls Hydra's `instantiate`.

Nodes are asked for as partials and called with the run-time values that no config can know: a neck with `levels`,
a head with `levels`, `num_classes` and the backbone's auxiliary classifiers, an optimizer with its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from visionkit.config.folders import conf_dir, options
from visionkit.engine import heads, weights
from visionkit.engine.heads import HeadConfig, Node
from visionkit.engine.recipe.loss_weights import LOSS_WEIGHTS, FixedWeights, LearnedWeights
from visionkit.errors import ConfigError
from visionkit.models.contracts import Backbone, Head, Neck
from visionkit.models.network import Network
from visionkit.tasks.base import Task
from visionkit.types import COLOURS, KIND_NOUNS

if TYPE_CHECKING:  # OpenCV, Lightning and albumentations are only for those who read data
    from visionkit.data.module import DataModule
    from visionkit.data.pictures.window import Window
    from visionkit.data.reader import Reader
    from visionkit.data.selection.admission import Admitted
    from visionkit.data.selection.draws import Weigh
    from visionkit.data.skipping import Skipped

_SELECTING = ("split", "fold", "group", "classes", "limit", "background")
"""The keys of a `data` node that say what a run sees of it."""

Attempt = Callable[[str, Callable[[], Any]], Any]
"""Builds the part of a key: `backbone`, `necks.<name>` or `heads.<name>`."""


def build(node: Mapping[str, Any], **run_time: Any) -> Any:
    """Instantiate one node with run-time values; its nested nodes are built first.

    Raises ConfigError when a constructor refuses a value; what it says is for the user.
    """
    try:
        return instantiate(dict(node), _partial_=True, _convert_="all")(**run_time)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except HydraException as error:  # from a nested node
        if isinstance(error.__cause__, ValueError):
            raise ConfigError(str(error.__cause__)) from error
        raise


def network_node(config: Node) -> Node:
    """Return what `build_network` needs, out of a train config: its heads and the necks that they read."""
    found = heads.heads(config)
    mean, std = weights.normalisation(config)
    return {
        "backbone": backbone_node(config),
        "necks": heads.necks(config),
        "heads": {name: head.node for name, head in found.items()},
        "routes": {name: head.neck for name, head in found.items()},
        "mean": mean,
        "std": std,
    }


def backbone_node(config: Node) -> Node:
    """Return the backbone's node of a train config, an open `padding` decided.

    Published logits need the layers as they were published; every other head counts on the cells of `Level`, and where
    there are several, one that counts on them decides. Before that the checkpoint does that the network begins with.
    """
    node: Node = config["backbone"]
    if node.get("padding", "same") is not None:
        return node
    if begun_with := weights.padding(config):
        return {**node, "padding": begun_with}
    found = heads.heads(config).values()
    pools = all(head.neck is None and _kind(head.node) in ("labels", "multilabel") for head in found)
    return {**node, "padding": "published" if pools else "same"}


def _kind(node: Node) -> str:
    head: type[Head] = get_class(node["_target_"])
    return head.kind


def build_tasks(nodes: Mapping[str, Node]) -> dict[str, Task]:
    """Return the tasks by the names of their heads."""
    return {name: build(node) for name, node in nodes.items()}


def build_network(node: Node, class_names: Mapping[str, tuple[str, ...]]) -> Network:
    """Return the network of a node as `network_node` makes it, its heads as wide as their class names."""
    network = join(node, {name: len(names) for name, names in class_names.items()}, lambda key, make: make())
    assert network is not None  # a part that is refused raises
    return network


def join(node: Node, num_classes: Mapping[str, int], attempt: Attempt) -> Network | None:
    """Return the network of a node as `network_node` makes it, its heads as wide as `num_classes` says.

    `attempt` gets the key of each part, such as `heads.<name>`, and what builds it; it returns the part, or raises, or
    notes what is wrong and returns None: then the parts that do not need this one are tried too, and None is returned.
    """
    backbone = attempt("backbone", partial(build, node["backbone"]))
    if backbone is None:
        return None
    necks = {
        name: attempt(f"necks.{name}", partial(build, neck, levels=backbone.levels))
        for name, neck in node["necks"].items()
    }
    built = {}
    for name, head in node["heads"].items():
        route = node["routes"][name]
        neck = None if route is None else necks[route]
        if route is None or neck is not None:
            built[name] = attempt(f"heads.{name}", partial(build_head, head, backbone, neck, num_classes[name]))
    if None in necks.values() or None in built.values():
        return None
    return Network(backbone, necks, built, node["routes"], node["mean"], node["std"])


def build_head(node: Node, backbone: Backbone, neck: Neck | None, num_classes: int) -> Head:
    """Return the head of a node, behind a neck or straight on the backbone, there with its auxiliary classifiers."""
    run_time: dict[str, Any] = {"levels": (neck or backbone).levels, "num_classes": num_classes}
    kind: type[Head] = get_class(node["_target_"])
    if neck is None and kind.takes_auxiliary:
        run_time["auxiliary_classifiers"] = backbone.auxiliary_classifiers(num_classes)
    head: Head = build(node, **run_time)
    return head


def build_data(
    data: Node, augment: Node | None, seed: int, kinds: tuple[str, ...], folder: Path | None = None
) -> DataModule:
    """Return the data module of a `data` node; without `augment` it only evaluates.

    `folder` is where the processes of a run note what they go on without, as `data.on_error=skip` asks for.
    """
    from visionkit.data.module import DataModule  # Lightning and albumentations, which prediction does without
    from visionkit.data.skipping import Skipped

    skipped = Skipped(folder) if data.get("on_error") == "skip" else None  # old checkpoints do not say
    return DataModule(
        records=build_records(data, kinds, skipped),
        augment=build(augment) if augment else None,
        size=data["size"],
        batch_size=data["batch_size"],
        workers=data["workers"],
        seed=seed,
        kinds=kinds,
        resize=data.get("resize", "fit"),  # a checkpoint's node may be older than these two
        cache=data.get("cache", "none"),
        weigh=build_weigher(data, kinds) if augment is not None else None,
        skipped=skipped,
    )


def build_records(data: Node, kinds: tuple[str, ...], skipped: Skipped | None) -> Admitted:
    """Return the records of a `data` node by split; with `skipped` without those that cannot be used."""
    from visionkit.data.selection.admission import Admitted, read_list
    from visionkit.data.selection.selection import Selection

    reader: Reader = build(data["reader"])
    chosen = {key: data[key] for key in _SELECTING if key in data}
    selection = Selection(reader, window=build_window(data), kinds=kinds, **chosen)
    return Admitted(selection, reader.report, read_list(data.get("leave_out")), skipped)


def build_weigher(data: Node, kinds: tuple[str, ...]) -> Weigh | None:
    """Return what weighs the training images of a `data` node. Raises ConfigError for kinds of labels that cannot."""
    from visionkit.data.selection.draws import weigher

    return weigher(data["sampler"], kinds, data["repeat_threshold"])


def build_window(data: Mapping[str, Any]) -> Window | None:
    """Return what a `data` node says of raw values and channels; None where it leaves images as they are.

    The nodes of old checkpoints say nothing. Raises ConfigError for an impossible value.
    """
    window, channels = data.get("window"), data.get("channels")
    if window is None and channels is None:
        return None
    from visionkit.data.pictures.window import Window

    return Window(window, channels)


def num_channels(data: Mapping[str, Any]) -> int:
    """Return how many channels the images of a `data` node have."""
    window = build_window(data)
    return COLOURS if window is None else window.num_channels


def loss_weights(config: Node) -> FixedWeights | LearnedWeights:
    """Return what adds up the losses of a train config's heads; one head alone counts as it is."""
    kind = LOSS_WEIGHTS[config["task"].get("loss_weights", "fixed")]
    return kind({name: head.weight for name, head in heads.heads(config).items()})


def check_heads(found: Mapping[str, HeadConfig], tasks: Mapping[str, Task]) -> None:
    """Raise ConfigError when a head does not make what its task needs, naming the heads that do."""
    for name, task in tasks.items():
        head: type[Head] = get_class(found[name].node["_target_"])
        if head.kind != task.kind:
            group = "head" if found[name].key == "head" else f"head@{found[name].key}"
            needs = f"task={name}" if group == "head" else found[name].task_key
            fitting = " or ".join(f"{group}={option}" for option in heads_of(task.kind))
            option = next((f"{group}={option}" for option, known in _heads().items() if known is head), head.__name__)
            raise ConfigError(
                f"{option} makes {KIND_NOUNS[head.kind]} but {needs} needs {KIND_NOUNS[task.kind]}; choose {fitting}"
            )


def heads_of(kind: str) -> list[str]:
    """Return the options of the `head` group that learn from labels of a kind."""
    return [option for option, head in _heads().items() if issubclass(head, Head) and head.kind == kind]


def _heads() -> dict[str, type]:
    return {option: get_class(node["_target_"]) for option, node in _options("head").items() if node}


def _options(group: str) -> dict[str, Node]:
    """Return the options of a group as they are written, those that are nothing left out."""
    nodes = {name: OmegaConf.to_container(OmegaConf.load(path)) for name, path in options([conf_dir()], group).items()}
    return {name: {str(key): value for key, value in node.items()} for name, node in nodes.items()
            if isinstance(node, dict)}  # fmt: skip


def class_names_of(tasks: Mapping[str, Task], data: DataModule, node: Node) -> dict[str, tuple[str, ...]]:
    """Return each task's class names by its head, `node` being what `data` was built from.

    Raises ConfigError when the data cannot serve a task, naming the tasks that they can.
    """
    kinds = data.first.kinds
    names = {}
    misfits = [
        _misfit(name, task.kind, node["reader"].get("_target_"), kinds)
        + (f"; head@heads.{name}=none leaves it out" if len(tasks) > 1 else "")
        for name, task in tasks.items()
        if task.kind not in kinds
    ]
    if misfits:
        raise ConfigError("\n".join(misfits))
    for name, task in tasks.items():
        try:
            names[name] = task.class_names(data.classes)
        except ValueError as error:
            raise ConfigError(str(error)) from None
    return names


def _misfit(name: str, kind: str, reader: str, kinds: Sequence[str]) -> str:
    """Return what to say of a task that needs labels of another kind than the data have."""
    own = (option for option, node in _options("data").items() if (node.get("reader") or {}).get("_target_") == reader)
    option = next((f"data={option}" for option in own), "the data set")
    there = " and ".join(KIND_NOUNS[kind] for kind in kinds) or "no labels"
    targets = {task: node["_target_"] for task, node in _options("task").items() if "_target_" in node}
    tasks: dict[str, type[Task]] = {task: get_class(target) for task, target in targets.items()}
    served = [task for task, known in tasks.items() if known.kind in kinds]
    serves = f"it serves {' and '.join(f'task={task}' for task in served)}" if served else "it serves no task"
    return f"task={name} needs {KIND_NOUNS[kind]}, but {option} has {there}: {serves}"
