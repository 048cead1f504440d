"""A sample without a head's labels changes nothing of that head: loss, gradients, metrics, trivial guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from visionkit.models.contracts import Head
from visionkit.ops import ranks
from visionkit.tasks.base import Task
from visionkit.tasks.classification import ClassificationTask
from visionkit.tasks.detection import DetectionTask
from visionkit.tasks.multilabel import MultilabelTask
from visionkit.tasks.segmentation import SegmentationTask
from visionkit.types import LABEL_KINDS, Batch, Targets

IMAGES, ROWS = 6, [0, 2, 3]
NAMES = ("a", "b", "c")
HEADS = {
    "linear": ("none", ClassificationTask()),
    "multilabel": ("none", MultilabelTask(0.5)),
    "fcos": ("fpn", DetectionTask(0.3)),
    "unet": ("none", SegmentationTask(None, "mIoU")),
    "fcn": ("none", SegmentationTask(None, "mIoU")),
    "fcn_dilated": ("none", SegmentationTask(None, "mIoU")),
    "vgg": ("none", ClassificationTask()),
}
"""Of each head the neck and the task; segmentation weighs classes, and counts pixels of 255, by its defaults."""

Made = tuple[Head, list[Tensor], Targets]


@pytest.fixture
def made(build: Callable[..., Any], scene: Callable[..., Any]) -> Callable[[str], Made]:
    """Return a function: the name of a head in; out come the head, what it reads of 6 images, and their targets."""

    def make(name: str) -> Made:
        network = build("vgg_tiny", name, HEADS[name][0]).eval()  # batch statistics are over all images, as they should
        size = (64, 96)
        images, targets = scene(IMAGES, *size)
        head = network.heads["only"]
        with torch.no_grad():
            maps = network.features(network.normalize(images))
            maps = [m.clone() for m in (network.necks["neck"](maps) if network.necks else maps)]
        return head, maps, targets._replace(present=_present(head.kind, ROWS))

    return make


def _present(kind: str, rows: list[int]) -> Tensor:
    """Say that `rows` carry `kind`, while every image carries all others."""
    present = torch.ones(IMAGES, len(LABEL_KINDS), dtype=torch.bool)
    present[:, LABEL_KINDS.index(kind)] = False
    present[rows, LABEL_KINDS.index(kind)] = True
    return present


def _only(targets: Targets, rows: list[int]) -> Targets:
    """Return what a batch of these images alone would have."""
    by_image = {name: getattr(targets, name)[rows] for name in ("labels", "multilabel", "mask", "present")}
    kept = torch.isin(targets.box_image, torch.tensor(rows))
    by_box = {name: getattr(targets, name)[kept] for name in ("boxes", "box_label", "box_ignore")}
    place = {row: number for number, row in enumerate(rows)}
    image = torch.tensor([place[int(i)] for i in targets.box_image[kept]])
    return Targets(**by_image, **by_box, box_image=image)


def _learn(head: Head, maps: list[Tensor], targets: Targets) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return the terms of the loss, and the gradients of the parameters and of the maps; all have one."""
    maps = [m.clone().requires_grad_() for m in maps]
    head.zero_grad(set_to_none=True)
    terms = head.loss(head(maps, (64, 96), targets), targets)
    torch.stack(list(terms.values())).sum().backward()
    read = [m.grad for m in maps if m.grad is not None]
    return {name: term.detach() for name, term in terms.items()}, [p.grad for p in head.parameters()] + read


def _close(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize("name", HEADS)
def test_loss_and_gradients_are_those_of_the_labelled_samples_alone(made, name) -> None:
    head, maps, targets = made(name)
    terms, gradients = _learn(head, maps, targets)
    alone, of_alone = _learn(head, [m[ROWS] for m in maps], _only(targets, ROWS))
    _close(terms, alone)
    count = len(list(head.parameters()))
    _close(gradients[:count], of_alone[:count])
    others = [row for row in range(IMAGES) if row not in ROWS]
    for of_map, map_alone in zip(gradients[count:], of_alone[count:], strict=True):
        _close(of_map[ROWS], map_alone)
        assert not of_map[others].any()


@pytest.mark.parametrize("name", HEADS)
def test_without_any_labels_all_is_zero(made, name) -> None:
    head, maps, targets = made(name)
    head.train()  # running statistics have to stay finite, too
    terms, gradients = _learn(head, maps, targets._replace(present=_present(head.kind, [])))
    assert all(term == 0 for term in terms.values())
    assert all(gradient is not None and not gradient.any() for gradient in gradients)
    assert all(buffer.isfinite().all() for buffer in head.buffers())


@pytest.mark.parametrize("name", HEADS)
def test_a_rank_without_labels_leaves_the_mean_over_ranks_as_it_is(made, name, monkeypatch) -> None:
    head, maps, targets = made(name)
    alone, of_alone = _learn(head, [m[ROWS] for m in maps], _only(targets, ROWS))
    counts: list[Tensor] = []
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    monkeypatch.setattr(ranks.dist, "all_reduce", lambda count: counts.append(count.clone()))  # the other adds nothing
    first, of_first = _learn(head, maps, targets)
    monkeypatch.setattr(ranks.dist, "all_reduce", lambda count: count.copy_(counts.pop(0)))
    second, of_second = _learn(head, maps, targets._replace(present=_present(head.kind, [])))
    assert not counts, "the ranks would wait for each other"
    _close({name: (first[name] + second[name]) / 2 for name in first}, alone)
    count = len(list(head.parameters()))
    pairs = zip(of_first[:count], of_second[:count], strict=True)
    _close([(one + two) / 2 for one, two in pairs], of_alone[:count])


@pytest.mark.parametrize("name", HEADS)
def test_metrics_and_the_trivial_guess_are_those_of_the_labelled_subset(made, name) -> None:
    head, maps, targets = made(name)
    task: Task = HEADS[name][1]
    some = _batch(targets, list(range(IMAGES)))
    few = _batch(_only(targets, ROWS), ROWS)
    found = []
    with torch.no_grad():
        for batch, own in ((some, maps), (few, [m[ROWS] for m in maps])):
            metric = task.metric(NAMES)
            task.update(metric, head.decode(head(own, (64, 96))), batch)
            guess = task.trivial([batch], NAMES)
            guessed = task.metric(NAMES)
            task.update(guessed, guess(batch), batch)
            found.append([metric.compute(), guessed.compute(), list(guess(few))])
    torch.testing.assert_close(*found, equal_nan=True)


def _batch(targets: Targets, ids: list[int]) -> Batch:
    count = len(ids)
    return Batch(
        torch.zeros(count, 3, 64, 96, dtype=torch.uint8), targets, torch.tensor(ids), torch.tensor([[64, 96]] * count)
    )
