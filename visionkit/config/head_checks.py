"""Find what is wrong with heads that are chosen by name, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf


def head_problems(config: DictConfig) -> Iterator[str]:
    """Yield a line for each contradiction between the heads, tasks and necks of a train config."""
    if "heads" not in config:
        if config.get("head") is not None and "_target_" not in config.head:
            yield "head=none leaves a head out where there are several; a single task needs its own"
        return
    whole = OmegaConf.select(config, "init.network")
    if str(whole).startswith("torchvision:"):
        yield f"init.network={whole} holds one head; several begin with the backbone alone: init.backbone=imagenet"
    nodes = {str(name): node for name, node in config.heads.items() if isinstance(node, DictConfig)}
    chosen = {name: node for name, node in nodes.items() if "_target_" in node}
    for group, shown in (("head", "head@heads.segmentation"), ("neck", "neck@necks.fpn")):
        if config.get(group):
            yield f"{group}=... is of a single task; with several heads choose by name, such as {shown}=..."
    if not chosen:
        yield f"every head is left out; choose one, such as head@heads.{next(iter(nodes), 'classification')}=..."
    for name, node in chosen.items():
        if name not in config.tasks:
            yield f"heads.{name} has no task; give it +task@tasks.{name}=..., or use one of {', '.join(config.tasks)}"
        if node.get("neck") is not None and node.neck not in config.necks:
            yield (
                f"heads.{name}.neck={node.neck} is not there; give one of {', '.join(config.necks)}, null for none, or "
                f"add it: +neck@necks.{node.neck}=..."
            )
        yield from _weight(f"heads.{name}.weight", node.get("weight", 1.0), config.task.loss_weights)
    kinds = config.task.loss_weights
    if kinds not in ("fixed", "learned"):
        yield f"task.loss_weights={kinds}; give fixed or learned"


def losses(config: DictConfig) -> Iterator[tuple[str, DictConfig]]:
    """Yield the dotted key and the node of each head's loss."""
    keys = [f"heads.{name}.loss" for name in config.get("heads") or ()]
    for key in ["head.loss", *keys]:
        loss = OmegaConf.select(config, key, throw_on_missing=False)
        if isinstance(loss, DictConfig):
            yield key, loss


def _weight(key: str, value: Any, kind: Any) -> Iterator[str]:
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        yield f"{key}={value} is no weight of a loss; give a number above 0, or leave the head out"
    elif kind == "learned" and value != 1:
        yield f"{key}={value} and task.loss_weights=learned contradict each other; learned weights begin at 1"
