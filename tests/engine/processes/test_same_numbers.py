"""Two processes on the halves of a batch do what one does on the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainings import frozen
from tests.two_ranks import Two, ran

SETTINGS = (
    "backbone=convnet",
    "backbone.norm=group",
    "backbone.activation=silu",  # no kinks, at which a rounded value takes another way
    "optimizer=sgd",
    "optimizer.lr=0.01",
    "data.num_scenes=65",  # 13 to validate, in batches of 7 and 6: of 4 and 3 images a rank, and of 3 and 3
    "data.batch_size=7",
    "data.size=32",
    "data.digits_per_scene=[1,3]",
    "epochs=2",
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "+trainer.max_steps=10",
    "trainer.gradient_clip_val=null",
)
QUICK = {
    "classification": ("task=classification", "optimizer.lr=0.05"),
    "detection": ("task=detection",),
    "segmentation": ("task=segmentation", "head=fcn"),
    "multilabel": ("task=multilabel",),
}
# Smaller steps: in larger ones three losses together shake the network until rounding decides where it goes.
MULTITASK = ("task=multitask", "head@heads.segmentation=fcn", "optimizer.lr=0.002")
SLOW = {
    "mixed": ("task=classification", "augment.mixup=0.5", "augment.cutmix=0.5", "head.loss.class_weights=balanced"),
    # Smaller steps and no maxima here too: the network is deep.
    "smoothed": (
        "task=classification",
        "backbone=convnet_googlenet",
        "head.loss.label_smoothing=0.3",
        "optimizer.lr=0.001",
        "backbone.pooling=average",
    ),
    "weighed": ("task=multilabel", "head.loss.pos_weight=balanced", "data.sampler=balanced"),
    "clipped": ("task=detection", "trainer.gradient_clip_val=0.1", "trainer.accumulate_grad_batches=2"),
    "merged": ("task=detection", "data.num_scenes=75"),  # 15 to validate: two ranks take the last one to those before
    "even": ("task=segmentation", "head=fcn", "head.loss.class_balance=0", "head.loss.class_weights=balanced"),
    "multitask": MULTITASK,
    "learned": (*MULTITASK, "task.loss_weights=learned"),
    "sharded": ("task=detection", "trainer=fsdp", "trainer.accelerator=cpu", "trainer.gradient_clip_val=0.1"),
}
LOSSES = {"loss", "class", "box", "centerness", "cross_entropy", "dice", "binary_cross_entropy"}
SOME = {"learned": {"boxes_of_first_rank_only": True}}


def length(tensors: dict[str, Tensor]) -> float:
    return float(torch.stack([tensor.double().norm() for tensor in tensors.values()]).norm())


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return how far all tensors together are apart, in shares of the first ones' length."""
    assert one.keys() == other.keys()
    return length({name: one[name].double() - other[name].double() for name in one}) / length(one)


class Compared:
    """Runs in one process, and the same in two."""

    def __init__(self, folder: Path, cases: dict[str, tuple[str, ...]]) -> None:
        runs = [frozen(folder / name, *SETTINGS, *case) for name, case in cases.items()]
        pair = Two(folder, runs, SOME)
        self.alone = {run.name: ran(run, folder, **SOME.get(run.name, {})) for run in runs}
        self.first, self.second = pair.results()

    def check(self, name: str) -> None:
        one, first, second = self.alone[name], self.first[name], self.second[name]
        assert first.counts["images"] != second.counts["images"], "unequal shares are the harder case"
        assert one.counts == {key: first.counts[key] + second.counts[key] for key in one.counts}
        assert apart(one.gradients, first.gradients) <= 1e-6
        for tensor in one.gradients:  # some are sums of what nearly cancels
            assert apart({tensor: one.gradients[tensor]}, {tensor: first.gradients[tensor]}) <= 1e-4, tensor
        assert apart(one.way, first.way) <= 1e-4
        assert apart(first.way, second.way) == 0
        assert first.metrics == second.metrics
        assert one.metrics.keys() == first.metrics.keys()
        exact = {key for key in one.metrics if key.rpartition("/")[2] not in LOSSES}
        assert {key: first.metrics[key] for key in exact} == {key: one.metrics[key] for key in exact}
        assert any(one.metrics[key] for key in exact)
        if name != "merged":  # a loss is a mean over batches, and one process has other batches there
            for key in one.metrics.keys() - exact:
                assert first.metrics[key] == pytest.approx(one.metrics[key], rel=1e-6), key


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return Compared(tmp_path_factory.mktemp("quick"), QUICK)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return Compared(tmp_path_factory.mktemp("slow"), SLOW)


@pytest.mark.parametrize("name", QUICK)
def test_every_task(quick: Compared, name: str, one_thread: None) -> None:
    quick.check(name)


def test_boxes_and_pixels_are_shared_out_unequally(quick: Compared) -> None:
    boxes = [ran["detection"].counts["boxes"] for ran in (quick.first, quick.second)]
    pixels = [ran["segmentation"].counts["pixels"] for ran in (quick.first, quick.second)]
    assert 0 < min(boxes) < max(boxes)
    assert min(pixels) / 3 != max(pixels) / 4, "an image as many pixels: then nothing would be void"


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_loss_and_strategy(slow: Compared, name: str, one_thread: None) -> None:
    slow.check(name)
