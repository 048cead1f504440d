"""Turn the word `balanced` in a head's loss into one number a class, counted in the training records."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visionkit.data.records import Records
from visionkit.engine import heads
from visionkit.engine.heads import Node
from visionkit.errors import ConfigError
from visionkit.types import LABEL_KINDS

log = logging.getLogger("visionkit")

WORD = "balanced"
ARGUMENTS = ("class_weights", "pos_weight")
"""The arguments of losses that may be the word."""

MOST_MASKS = 500
"""Masks, evenly spaced, whose pixels are counted."""

LIMIT = 20.0
"""How far a `pos_weight` may be from 1, as a factor: one positive among thousands would shake every step."""

_TOLD = 20  # numbers that the log names


def resolved(head: Node, kind: str, records: Records, names: Sequence[str], place: str = "head") -> Node:
    """Return a head's node with numbers in place of the word, which are logged; a function of the records alone.

    `place` is its dotted key.

    Raises ConfigError when there is nothing to count, or not one number a class was given.
    """
    loss = head.get("loss") or {}
    changed = {}
    for argument in ARGUMENTS:
        value, key = loss.get(argument), f"{place}.loss.{argument}"
        if value == WORD:
            value = changed[argument] = _balanced(key, kind, records, len(names)).tolist()
            log.info("%s: %s", key, _told(names, value))
        if isinstance(value, list) and len(value) != len(names):
            raise ConfigError(
                f"{key}={value} has {len(value)} numbers, but the data has {len(names)} classes; give one a class, in "
                f"the order {', '.join(names)}"
            )
    return {**head, "loss": {**loss, **changed}} if changed else head


def without_words(config: Node) -> Node:
    """Return a train config whose heads can be built before anything is counted."""
    return heads.with_nodes(config, {name: unresolved(head.node) for name, head in heads.heads(config).items()})


def unresolved(head: Node) -> Node:
    """Return a head's node without the word."""
    loss = head.get("loss") or {}
    words = [argument for argument in ARGUMENTS if loss.get(argument) == WORD]
    return {**head, "loss": {**loss, **dict.fromkeys(words)}} if words else head


def class_weights(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return N / (K n_c) of n_c samples or pixels of each class, N in all, of the K classes that there are.

    So scikit-learn balances; the mean over samples is 1. A class without any gets 0.
    """
    there = counts > 0
    weights = np.zeros(len(counts))
    weights[there] = counts.sum() / (there.sum() * counts[there])
    return weights


def pos_weight(positives: NDArray[np.int64], images: int) -> NDArray[np.float64]:
    """Return images without a class over images with it, within `LIMIT`; 1 for a class that no image shows."""
    ratio = np.ones(len(positives))
    np.divide(images - positives, positives, out=ratio, where=positives > 0)
    return ratio.clip(1 / LIMIT, LIMIT)


def _balanced(key: str, kind: str, records: Records, num_classes: int) -> NDArray[np.float64]:
    carried = np.flatnonzero(records.present[:, LABEL_KINDS.index(kind)])
    argument = key.rpartition(".")[2]
    if len(carried):
        if (argument, kind) == ("class_weights", "labels") and records.labels is not None:
            return class_weights(np.bincount(records.labels[carried], minlength=num_classes))
        if (argument, kind) == ("class_weights", "mask") and records.masks is not None:
            return _of_masks(records, carried, num_classes)
        if (argument, kind) == ("pos_weight", "multilabel") and records.multilabel is not None:
            return pos_weight(records.multilabel[carried].sum(axis=0, dtype=np.int64), len(carried))
    raise ConfigError(f"{key}={WORD}: the training data hold nothing to be counted for it; give {key}=null or numbers")


def _of_masks(records: Records, carried: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    """Return the weights by the pixels of some masks. A class that only others may show weighs as the rarest."""
    assert records.masks is not None
    read = np.unique(np.linspace(0, len(carried) - 1, MOST_MASKS).round().astype(np.int64))
    counts = np.zeros(num_classes, dtype=np.int64)
    for index in carried[read].tolist():
        counts += np.bincount(np.ravel(records.masks[index]), minlength=256)[:num_classes]  # what is void stays out
    weights = class_weights(counts)
    if len(read) < len(carried):
        weights[counts == 0] = weights.max()
    return weights


def _told(names: Sequence[str], numbers: Sequence[float]) -> str:
    pairs = [f"{name} {number:.3g}" for name, number in zip(names, numbers, strict=True)]
    more = f" and {len(pairs) - _TOLD} more" if len(pairs) > _TOLD else ""
    return ", ".join(pairs[:_TOLD]) + more
