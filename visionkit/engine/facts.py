"""Gather the plain facts about a finished training that the hints speak of."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from visionkit.data.geometry import Fit
from visionkit.data.records import Records
from visionkit.engine import weights
from visionkit.engine.setup import Setup, budget_seconds
from visionkit.types import LABEL_KINDS, Level

MOST_MASKS = 500
"""Mask files of a split beyond which they are not read once more to look for classes."""

MOST_IMAGES = 100
"""Images, evenly spaced, whose boxes are measured: their sizes are known once they are decoded."""


class Facts(NamedTuple):
    """What is known of a head when a training has ended."""

    kind: str  # of the labels that were learned, an entry of `LABEL_KINDS`
    monitor: str  # its name, such as val/accuracy
    value: float  # of the best checkpoint; nan when nothing defines it
    trivial: float  # the constant guess's
    scores: tuple[float, ...]  # the monitor after each epoch
    losses: tuple[float, ...]  # the mean training loss of each epoch
    first_loss: float  # of the first batch, before any step
    steps: int
    lr: float | None  # the highest of the schedule
    longer: str  # what to type to train twice as long, such as budget=4min
    interrupted: bool  # by Ctrl-C
    limited: bool  # to some of the batches
    command: str  # as the user typed it
    images: int  # for training
    embedded: bool  # the data comes with the package
    init: str | None  # the weights that it began with; None for random ones
    download: int | None  # MB of the chosen backbone's published weights; None when it has none
    resnet18: int  # MB of resnet18's
    train_missing: tuple[str, ...]  # classes without a training sample
    val_missing: tuple[str, ...]  # classes without a validation sample
    sides: tuple[float, ...]  # the training boxes' shorter sides in pixels of the network's input
    stride: int  # of the finest map that the head reads, in pixels
    size: tuple[int, int]  # the network's input, height and width
    head: str | None = None  # its name; None where it is the only one


def gather(setup: Setup, metrics: dict[str, float], trivial: dict[str, float]) -> list[Facts]:
    """Return the facts about each head of a training that has been evaluated. Reads a few of the data again."""
    return [_of_head(setup, head, metrics, trivial) for head in setup.tasks]


def _of_head(setup: Setup, head: str, metrics: dict[str, float], trivial: dict[str, float]) -> Facts:
    config, history, records = setup.config, setup.history, setup.data.records
    task, names, several = setup.tasks[head], setup.module.class_names[head], len(setup.tasks) > 1
    network = setup.module.network
    route = network.routes[head]
    levels = cast(tuple[Level, ...], (network.backbone if route is None else network.necks[route]).levels)
    monitor = setup.module.log_name("val", head, task.monitor) if several else str(setup.best.monitor)
    own = weights.published(config["backbone"])
    small = weights.published({"_target_": weights.TORCHVISION, "name": "resnet18"})
    assert small is not None
    return Facts(
        kind=task.kind,
        monitor=monitor,
        value=metrics.get(monitor, math.nan),
        trivial=trivial[monitor],
        scores=tuple(history.beside[monitor] if several else history.scores),
        losses=tuple(history.losses),
        first_loss=math.nan if history.first_loss is None else history.first_loss,
        steps=setup.trainer.global_step,
        lr=config["optimizer"].get("lr"),
        longer=twice_as_long(config),
        interrupted=setup.interrupt.pressed,
        limited="limit_train_batches" in config["trainer"],
        command=config["provenance"]["command"],
        images=len(records["train"]),
        embedded="root" not in config["data"],
        init=config["init"]["backbone"] or config["init"]["network"],
        download=None if own is None else weights.megabytes(own),
        resnet18=weights.megabytes(small),
        train_missing=missing_classes(records["train"], task.kind, names),
        val_missing=missing_classes(records["val"], task.kind, names),
        sides=box_sides(records["train"], setup.data.size) if task.kind == "boxes" else (),
        stride=levels[0].stride,
        size=setup.data.size,
        head=head if several else None,
    )


def twice_as_long(config: dict[str, Any]) -> str:
    """Return the setting that doubles a training's length."""
    seconds = budget_seconds(config)
    if seconds is not None:
        return f"budget={duration(2 * seconds)}"
    if "max_epochs" in config["trainer"]:
        return f"trainer.max_epochs={2 * config['trainer']['max_epochs']}"
    return f"epochs={2 * config['epochs']}"


def duration(seconds: float) -> str:
    """Return seconds in the notation of `budget`: 40s, 4min, 2h."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"


def missing_classes(records: Records, kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes that no sample of a split shows; none where too many masks would have to be read.

    Boxes to be ignored do not count.
    """
    present = np.flatnonzero(records.present[:, LABEL_KINDS.index(kind)])
    values: NDArray[Any]
    if kind == "labels" and records.labels is not None:
        values = records.labels[present]
    elif kind == "multilabel" and records.multilabel is not None:
        values = np.flatnonzero(records.multilabel[present].any(axis=0))
    elif kind == "boxes" and records.box_label is not None and records.box_ignore is not None:
        values = records.box_label[~records.box_ignore]
    elif kind == "mask" and records.masks is not None:
        if not isinstance(records.masks, np.ndarray) and len(present) > MOST_MASKS:
            return ()
        found = [np.flatnonzero(np.bincount(np.ravel(records.masks[int(index)]))) for index in present]
        values = np.concatenate([np.empty(0, dtype=np.int64), *found])
    else:
        return ()
    shown = set(values.tolist())
    return tuple(name for index, name in enumerate(names) if index not in shown)


def box_sides(records: Records, size: tuple[int, int]) -> tuple[float, ...]:
    """Return the shorter sides, in pixels of the network's input, of the boxes of up to `MOST_IMAGES` images."""
    if records.boxes is None or records.box_start is None or records.box_ignore is None or not len(records):
        return ()
    fit, sides = Fit(size), []
    for index in np.unique(np.linspace(0, len(records) - 1, MOST_IMAGES).astype(int)).tolist():
        rows = slice(int(records.box_start[index]), int(records.box_start[index + 1]))
        boxes = records.boxes[rows][~records.box_ignore[rows]]
        if len(boxes):
            placed = fit.place(*records.images[index].shape[:2]).boxes(boxes)
            sides += (placed[:, 2:] - placed[:, :2]).min(axis=1).tolist()
    return tuple(sides)
