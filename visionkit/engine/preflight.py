"""Check a composed training before it begins: that every class takes its arguments and all parts fit, at no cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils._pytree import tree_leaves

from visionkit.config import checks
from visionkit.config.frozen import plain
from visionkit.config.values import image_size
from visionkit.engine import balancing, build, heads, misfit, signatures, weights
from visionkit.engine.heads import Node
from visionkit.engine.processes import placement
from visionkit.engine.quiet import quieten
from visionkit.engine.recipe import freezing, frozen_heads, groups, stepping
from visionkit.engine.speed import compiling, precision
from visionkit.engine.speed.recomputing import recompute_stages
from visionkit.errors import ConfigError, UserError
from visionkit.models.contracts import Backbone
from visionkit.models.network import Network
from visionkit.tasks.base import Task
from visionkit.types import COLOURS


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
    config = balancing.without_words(config)
    problems: list[str] = []

    def attempt(key: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (UserError, ValueError, TypeError, RuntimeError) as error:
            problems.append(signatures.refusal(key, error))
            return None

    processes = placement.asked(config["trainer"])
    channels = attempt("data", lambda: build.num_channels(config["data"]))
    chosen = heads.heads(config)
    tasks = {name: attempt(head.task_key, partial(build.build, head.task)) for name, head in chosen.items()}
    network = all(tasks.values()) and attempt("init", lambda: build.network_node(config))  # reads what weights want
    if network:
        attempt("head", lambda: build.check_heads(chosen, tasks))
        attempt("task", lambda: _check_monitor(config, tasks))
    augment = attempt("augment", lambda: build.build(config["augment"]) if config["augment"] else None)
    if network and not problems:
        size = image_size(config["data"]["size"])
        problems += _cut_labels(config["data"], tasks)
        with torch.device("meta"):
            two = dict.fromkeys(chosen, 2)
            joined = build.join(network, two, lambda key, make: attempt(heads.written(config, key), make))
        if joined:
            wrong = _wrong_channels(joined.backbone, config["data"], channels) or attempt(
                "backbone", lambda: misfit.of_backbone(network["backbone"], joined.backbone, size, "data.size")
            )
            problems += [wrong] if wrong else []
            if not problems:
                attempt("head", lambda: _forward(joined, channels, size))
            if not problems and augment:
                for drawn in {augment.smallest(size), augment.largest(size)} - {size}:
                    attempt("augment.multi_scale", partial(_forward, joined, channels, drawn))
            if not problems and processes.total > 1:
                attempt("neck", lambda: _check_gradients(joined, channels, size))
            attempt("freeze", lambda: freezing.choose(config["freeze"], joined.backbone))
            attempt("freeze", lambda: frozen_heads.choose(config["freeze"], joined))
            if not problems:
                attempt("init", lambda: weights.check(config, joined))
            if config["activation_checkpointing"]:
                attempt("activation_checkpointing", lambda: recompute_stages(joined.backbone))
            attempt("layer_decay", lambda: groups.factors_of(joined.backbone, config["layer_decay"]))
            attempt("optimizer", lambda: stepping.check(config["optimizer"]))
    attempt("scheduler", lambda: build.build(config["scheduler"]))
    attempt("data.reader", lambda: build.build(config["data"]["reader"]))
    kinds = tuple(task.kind for task in tasks.values() if task)
    attempt("data.sampler", lambda: build.build_weigher(config["data"], kinds) if kinds else None)
    if augment and channels not in (None, COLOURS):
        attempt("augment", lambda: augment.check(channels))
    for name, node in config["callbacks"].items():
        attempt(f"callbacks.{name}", partial(build.build, node))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    attempt("data.batch_size", lambda: _check_share(config["data"]["batch_size"], processes.total))
    cluster = attempt("cluster", lambda: build.build(config["cluster"])) if config["cluster"] else None
    if cluster is None and processes.nodes == 1:  # else the devices are those of another machine
        trainer = {**limits(config), **config["trainer"]}
        known = attempt("trainer", lambda: precision.resolved(trainer))
        if config["compile"]:
            attempt("compile", lambda: compiling.check(trainer))
        if known:
            made = {**trainer, "precision": known}
            attempt("trainer", lambda: build_trainer(placement.arguments(made, processes), **quiet))
    yield from problems


def _check_monitor(config: Node, tasks: Mapping[str, Task]) -> None:
    """Raise ConfigError when several heads are judged by what none of them measures."""
    chosen = config["task"]["monitor"]
    measured = [heads.COMBINED, *(f"{name}/{metric}" for name, task in tasks.items() for metric in task.metric_names)]
    if heads.several(config) and chosen not in measured:
        raise ConfigError(f"task.monitor={chosen} is not measured; choose one of {', '.join(measured)}")


def _check_gradients(network: Network, channels: int, size: tuple[int, int]) -> None:
    """Raise ConfigError when a parameter never learns: several processes would wait for its gradient."""
    found = network.outputs(network.features(misfit.images(channels, *size)), size)
    learning = [leaf.sum() for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(torch.stack(learning).sum(), parameters, allow_unused=True)
    if unused := [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]:
        parts = sorted({".".join(name.split(".")[:3]) for name in unused})
        raise ConfigError(
            f"the heads read nothing of {', '.join(parts)}: these weights would never learn, and several processes "
            "cannot train a network with such; choose a neck whose maps the head reads, such as neck=none, or "
            "trainer=auto for one process"
        )


def _check_share(batch_size: int, processes: int) -> None:
    if batch_size < processes:
        raise ConfigError(
            f"data.batch_size={batch_size} is the batch of all {processes} processes; give at least one each"
        )


def _cut_labels(data: Node, tasks: Mapping[str, Task]) -> list[str]:
    """Return what to type when images are to be cut though labels may lie in what is cut off."""
    found = [name for name, task in tasks.items() if task.kind in ("mask", "boxes")]
    if data.get("resize", "fit") != "crop" or not found:
        return []
    return [
        f"data.resize=crop sees but the middle of each image, and task={found[0]} has to find what is outside it too; "
        "give data.resize=fit (augment.crop draws random parts in training)"
    ]


def _wrong_channels(backbone: Backbone, data: Node, channels: int) -> str:
    own = getattr(backbone, "in_channels", channels)
    if own == channels:
        return ""
    if data["channels"] is None:
        shown = list(range(own))
        return (
            f"backbone.in_channels={own} but the data's images have {channels} channels (RGB, grey ones too); give "
            f"{channels}, or data.channels={shown} where the files have them"
        )
    return (
        f"data.channels={data['channels']} makes images of {channels} channels but backbone.in_channels={own}; give "
        f"backbone.in_channels={channels}"
    )


def _forward(network: Network, channels: int, size: tuple[int, int]) -> None:
    """Run two images of a size through a network on the meta device."""
    network.outputs(network.features(misfit.images(channels, *size)), size)
