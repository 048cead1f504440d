"""Measure a checkpoint's model on a split of its own data or of other data."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track

from visionkit.config.folders import make_run_dir
from visionkit.config.frozen import command_line, commit, plain
from visionkit.data.reader import Reader
from visionkit.data.skipping import Skipped
from visionkit.engine import baseline, build, checkpoint, heads
from visionkit.engine.checkpoint import Model, check_targets, load_model, versions
from visionkit.engine.module import combined
from visionkit.engine.quiet import start_log
from visionkit.engine.results import metrics_table, write_skipped
from visionkit.errors import ConfigError
from visionkit.tasks.base import Task
from visionkit.types import KIND_NOUNS, Batch

log = logging.getLogger("visionkit")


def evaluate(config: DictConfig, *, new_data: bool) -> float:
    """Evaluate as the command's config says, print the metrics and write `result.json`; return the monitor's value.

    That is what picked the best checkpoint in training; nan where these data do not define it.

    `new_data` tells that a data set was chosen on the command line; otherwise the checkpoint's own is taken, with
    what was given under `data` laid over it.
    """
    start_log(None)
    model = load_model(config.checkpoint, config.trusted)
    node = config.data if new_data else merged_data(model, config.get("data"), config.trusted, Path(config.checkpoint))
    data_node = plain(OmegaConf.create({"data": node}))["data"]
    with TemporaryDirectory() as folder:  # there is no folder for the result before there is one
        metrics, trivial = measure(model, data_node, config.split, config.device, Path(folder))
        out = make_run_dir(config.out, "evaluate")
        write_skipped(Skipped(Path(folder)), out)
    monitor = f"{config.split}/{heads.judged(model.manifest.get('monitor'), model.tasks)}"
    result = {
        "checkpoint": str(config.checkpoint),
        "split": config.split,
        "monitor": monitor,
        "metrics": metrics,
        "trivial": trivial,
        "command": command_line(),
        "commit": commit(),
        "versions": versions(),
    }
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console = Console(soft_wrap=True, highlight=False)
    console.print(metrics_table(metrics, trivial, tuple(model.tasks)))
    console.print(f"\nwritten to {out / 'result.json'}", markup=False)
    return metrics.get(monitor, math.nan)


def merged_data(model: Model, changes: Any, trusted: Any, path: Path) -> DictConfig:
    """Return the checkpoint's own data node with changes laid over it; what refers to a changed value follows."""
    for key in ("size", "resize"):
        if key in (changes or {}):
            raise ConfigError(f"data.{key} belongs to the model: images are brought to the network as in its training")
    own = model.manifest["data"]
    check_targets(own, (Reader,), trusted, path)
    return OmegaConf.merge(OmegaConf.create(own), changes or {})  # type: ignore[return-value]


@torch.inference_mode()
def measure(
    model: Model, data_node: Any, split: str, device: str, folder: Path | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics of a split as training names them, and the monitors of the best constant guess.

    Of several heads those are measured whose labels the data have; the others are logged.
    `folder` is where the loader's processes note what they skip, as `data.on_error=skip` asks for.
    """
    kinds = tuple(dict.fromkeys(task.kind for task in model.tasks.values()))
    monitor = f"{split}/{heads.judged(model.manifest.get('monitor'), model.tasks)}"
    # The images are brought to the network as it is used to, whatever the data node names.
    own = {"size": model.manifest["size"], "resize": model.manifest.get("resize", "fit")}
    data = build.build_data({**data_node, **own}, None, model.manifest["seed"], kinds, folder)
    tasks = _served(model.tasks, data.first.kinds)
    data.kinds = tuple(kind for kind in kinds if kind in {task.kind for task in tasks.values()})
    for name, names in build.class_names_of(tasks, data, data_node).items():
        if names != model.class_names[name]:
            raise ConfigError(
                f"the data has the classes {', '.join(names)} but the model knows {', '.join(model.class_names[name])};"
                " data.classes chooses among them and renames them"
            )
    channels = build.num_channels(data_node)
    if channels != model.network.mean.shape[1]:
        raise ConfigError(
            f"the images have {channels} channels but the model sees {model.network.mean.shape[1]}; give data.channels "
            "as many indices"
        )
    where = checkpoint.device(device)
    network = model.network.to(where)
    metrics = {name: task.metric(model.class_names[name]).to(where) for name, task in tasks.items()}
    for batch in track(data.plain_dataloader(split), description=f"evaluating {split}", transient=True):
        there = _to(batch, where)
        predictions = network.decode(network(there.images))
        for name, task in tasks.items():
            task.update(metrics[name], predictions[name], there)
    scores: dict[str, float] = {}
    trivial: dict[str, float] = {}
    for name, task in tasks.items():
        prefix = split if len(model.tasks) == 1 else f"{split}/{name}"
        found = {key: float(value) for key, value in metrics[name].compute().items()}
        scores |= {f"{prefix}/{key}": round(value, 6) for key, value in found.items() if value == value}
        guess = baseline.learn(task, model.class_names[name], data.labelled_dataloader("train", task.kind))
        guessed = baseline.scores(task, model.class_names[name], guess, data.plain_dataloader(split))
        own = {f"{prefix}/{key}": round(value, 6) for key, value in guessed.items()}
        trivial |= {key: value for key, value in own.items() if key in (f"{prefix}/{task.monitor}", monitor)}
    if len(model.tasks) > 1:
        scores |= combined(model.tasks, scores, split)
        trivial |= combined(model.tasks, trivial, split)
    return scores, trivial


def _served(tasks: Mapping[str, Task], kinds: Sequence[str]) -> dict[str, Task]:
    """Return the tasks whose kind of labels a data set has; all where it has none of them, so that it is refused."""
    served = {name: task for name, task in tasks.items() if task.kind in kinds}
    for name in [name for name in tasks if name not in served] if served else ():
        log.warning("the data has no %s: %s is not measured", KIND_NOUNS[tasks[name].kind], name)
    return served or dict(tasks)


def _to(batch: Batch, device: torch.device) -> Batch:
    targets = type(batch.targets)(*(None if t is None else t.to(device) for t in batch.targets))
    return Batch(batch.images.to(device).contiguous(), targets, batch.ids.to(device), batch.sizes.to(device))
