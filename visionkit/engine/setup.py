"""Build all that a training needs from its frozen config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf

from visionkit.config.frozen import plain
from visionkit.config.values import seconds
from visionkit.data.module import DataModule
from visionkit.engine import balancing, build, heads, weights
from visionkit.engine.callbacks import EpochLog, History, ProgressBar, Throughput
from visionkit.engine.checkpoint import manifest
from visionkit.engine.means import Means
from visionkit.engine.module import VisionModule
from visionkit.engine.processes.placement import placed
from visionkit.engine.recipe import freezing, frozen_heads
from visionkit.engine.recipe.averaging import EMA
from visionkit.engine.recipe.clock import Clock
from visionkit.engine.recipe.plateau import Plateau, Watch
from visionkit.engine.speed import allocating, fusing, precision
from visionkit.engine.speed.accumulating import FullMean
from visionkit.engine.speed.compiling import compile_network
from visionkit.engine.speed.recomputing import recompute_stages
from visionkit.engine.survival.consensus import Consensus
from visionkit.engine.survival.finite import Finite
from visionkit.engine.survival.interrupt import Interrupt
from visionkit.engine.survival.resume import checkpoint_of
from visionkit.engine.survival.saving import checkpoints
from visionkit.engine.survival.state import RunState
from visionkit.engine.survival.writing import FOLDER, Whole
from visionkit.engine.weights.report import Report
from visionkit.errors import ConfigError, DataError
from visionkit.models.network import Network
from visionkit.tasks.base import Task

DEFAULT_BUDGET = "2min"
"""How long a training lasts when neither epochs nor a budget are given."""


class Setup(NamedTuple):
    """A training that only waits to be started."""

    config: dict[str, Any]
    data: DataModule
    tasks: dict[str, Task]
    module: VisionModule
    trainer: L.Trainer
    best: ModelCheckpoint
    throughput: Throughput
    interrupt: Interrupt
    history: History
    clock: Clock
    resumed: Path | None
    """The checkpoint that it goes on from; None for a training that begins."""
    begun_with: Report | None
    """Which weights it began with; None for random ones."""


def set_up(frozen: DictConfig, run_dir: Path, *, progress_bar: bool) -> Setup:
    """Build data, network, module and trainer. Data are read before anything is built that takes time."""
    config = plain(frozen)
    config["trainer"] = {**config["trainer"], "precision": precision.resolved(config["trainer"])}
    allocating.keep_freed(config["trainer"])
    L.seed_everything(config["seed"], workers=True, verbose=False)
    chosen = heads.heads(config)
    tasks = build.build_tasks({name: head.task for name, head in chosen.items()})
    build.check_heads(chosen, tasks)
    kinds = tuple(dict.fromkeys(task.kind for task in tasks.values()))
    data = build.build_data(config["data"], config["augment"], config["seed"], kinds, run_dir)
    if missing := [split for split in ("train", "val") if split not in data.records]:
        raise DataError(
            f"the data has no split {' and no split '.join(missing)}, only {', '.join(data.records)}; "
            "training needs train and val; data.split=auto cuts them out of what there is"
        )
    class_names = build.class_names_of(tasks, data, config["data"])
    weights.check_classes(config, class_names)
    counted = {
        name: balancing.resolved(head.node, tasks[name].kind, data.records["train"], class_names[name], head.key)
        for name, head in chosen.items()
    }
    config = heads.with_nodes(config, counted)
    resumed = checkpoint_of(run_dir) if config["resume"] else None
    network, begun_with = _network(config, class_names, resumed)
    clock = Clock(budget_seconds(config))
    schedule = build.build(config["scheduler"])
    fast = fusing.fused(config["optimizer"], config["trainer"])
    module = VisionModule(
        network,
        tasks,
        class_names,
        optimizer=lambda groups: fusing.clippable(build.build({**config["optimizer"], **fast}, params=groups)),
        factor=lambda step: float(schedule(clock.at(step))),
        layer_decay=config["layer_decay"],
        loss_weights=build.loss_weights(config),
        channels_last=config["channels_last"],
        manifest=manifest(config, OmegaConf.to_container(frozen.data, resolve=False), class_names),
    )
    monitor = heads.monitor(config, tasks)
    best, last = checkpoints(str(run_dir / FOLDER), monitor, config["save_every"])
    beside = tuple(module.log_name("val", name, task.monitor) for name, task in tasks.items() if len(tasks) > 1)
    consensus = Consensus()
    throughput, interrupt, history = Throughput(), Interrupt(last, consensus), History(monitor, beside)
    shown = [EpochLog(monitor, beside), *([ProgressBar(monitor, beside)] if progress_bar else [])]
    more = [build.build(node) for node in config["callbacks"].values()]
    trainer = build_trainer(
        _trainer_node(config),
        callbacks=[
            RunState(),
            *_recipe(config, network, schedule, monitor),
            clock,
            Means(),
            FullMean(),
            throughput,
            Finite(consensus),
            history,
            *shown,
            *more,
            best,
            last,
            interrupt,
        ],
        logger=[build.build(node, save_dir=str(run_dir)) for node in config["logger"].values()],
        default_root_dir=str(run_dir),
        enable_progress_bar=progress_bar,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    trainer.strategy.checkpoint_io = Whole()
    return Setup(config, data, tasks, module, trainer, best, throughput, interrupt, history, clock, resumed, begun_with)


def _network(
    config: dict[str, Any], class_names: Mapping[str, tuple[str, ...]], resumed: Path | None
) -> tuple[Network, Report | None]:
    """Return the network, and which weights it begins with; those of a resumed run come with its checkpoint."""
    torch.manual_seed(config["seed"])  # the weights do not depend on what reading the data drew
    network = build.build_network(build.network_node(config), class_names)
    begun_with = None if resumed else weights.apply(config, network)
    if config["activation_checkpointing"]:
        recompute_stages(network.backbone)
    if config["compile"]:
        compile_network(network)
    return network, begun_with


def _recipe(config: dict[str, Any], network: Network, schedule: Any, monitor: str) -> list[L.Callback]:
    """Return the callbacks by which a recipe changes what a step does, in the order in which they have to be asked."""
    decay = config["ema"]["decay"]
    return [
        freezing.Freeze(freezing.choose(config["freeze"], network.backbone)),
        frozen_heads.KeepHeads(frozen_heads.choose(config["freeze"], network)),
        *([EMA(decay)] if decay is not None else []),
        *([Watch(schedule, monitor)] if isinstance(schedule, Plateau) else []),
    ]


def _trainer_node(config: dict[str, Any]) -> dict[str, Any]:
    """Return what the config says of the trainer, with what follows from it: length, speed, and place among ranks."""
    one_size = not (config["augment"] or {}).get("multi_scale")
    node = config["trainer"]
    return {**limits(config), **precision.tune(node, one_size=one_size), **placed(node)}


def build_trainer(node: dict[str, Any], **run_time: Any) -> L.Trainer:
    """Return the trainer of a node. Raises ConfigError for a device that is not there and the like."""
    try:
        trainer: L.Trainer = build.build(node, **run_time)
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {error}") from error
    return trainer


def budget_seconds(config: dict[str, Any]) -> float | None:
    """Return the seconds to train for, or None when epochs were given."""
    if config["epochs"] is not None or "max_epochs" in config["trainer"]:
        return None
    return seconds(str(config["budget"] or DEFAULT_BUDGET))


def limits(config: dict[str, Any]) -> dict[str, Any]:
    """Return the trainer's arguments that say how long to train; `trainer.max_epochs` of the config goes before."""
    return {"max_epochs": config["epochs"] or -1, "min_epochs": 0}
