"""Hold every backbone, neck and head of the config to what `models/contracts.py` promises."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torchvision.ops import box_iou

from tests.models.backbone_checks import SMALLEST
from tests.models.conftest import FIXED_SIZE
from visionkit.types import LABEL_KINDS, Boxes, ClassScores, MaskScores, Targets

CONF = Path(__file__).parents[2] / "conf"
HEADS = sorted({path.stem for path in (CONF / "head").glob("[!_]*.yaml")} - {"none"})
NECKS = {"fcos": "fpn"}
ALIASES = {"_classification": "linear", "_multilabel": "multilabel", "_segmentation": "unet", "_detection": "fcos"}


def test_every_task_has_its_head_and_neck() -> None:
    for group in ("head", "neck"):
        assert {path.stem for path in (CONF / group).glob("_*.yaml")} == {*ALIASES, "_multitask"}
    assert {f"_{path.stem}" for path in (CONF / "task").glob("*.yaml")} == {*ALIASES, "_multitask"}


@pytest.mark.parametrize("backbone", SMALLEST)
def test_backbones_announce_what_they_make_and_serve_every_head(backbone, build) -> None:
    network = build(backbone, "fcn", device="meta")  # a head that counts on the cells of a level
    body = network.backbone
    assert all(fine.stride < coarse.stride for fine, coarse in pairwise(body.levels))
    for height, width in ((64, 64), (97, 131), (75, 53)):
        maps = network.features(torch.empty(2, 3, height, width, device="meta"))
        assert [tuple(m.shape) for m in maps[: len(body.levels)]] == [
            (2, level.channels, -(-height // level.stride), -(-width // level.stride)) for level in body.levels
        ]
    for head in HEADS:
        network = build(body, head, NECKS.get(head, "none"), device="meta")
        network.zero_grad()
        if head in FIXED_SIZE:
            maps = network.features(torch.empty(2, 3, *FIXED_SIZE[head], device="meta"))
        outputs = network.outputs(maps, (75, 53))["only"]
        sum(tensor.sum() for tensor in outputs if tensor.requires_grad).backward(retain_graph=True)
        assert [name for name, p in network.named_parameters() if p.grad is None] == []
        if network.heads["only"].kind == "mask":
            assert outputs.logits.shape == (2, 3, 75, 53)


@pytest.mark.parametrize("head", HEADS)
def test_loss_and_decoding_hold_no_parameter(head, build, scene) -> None:
    network = build("vgg_tiny", head, NECKS.get(head, "none"))
    images, targets = scene(4, *FIXED_SIZE.get(head, (75, 53)))
    outputs = network(images, targets)["only"]
    assert all(isinstance(tensor, torch.Tensor) for tensor in outputs)
    # Beside the network, which keeps its parameters, a head on the meta device: what it read there would fail.
    stranger = build("vgg_tiny", head, NECKS.get(head, "none"), device="meta").heads["only"]
    terms = stranger.loss(outputs, targets)
    assert all(term.shape == () and term.isfinite() and term.dtype == torch.float32 for term in terms.values())
    sum(terms.values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [name for name, p in network.heads.named_parameters() if not p.grad.any()] == []
    kinds = {"labels": ClassScores, "multilabel": ClassScores, "mask": MaskScores, "boxes": Boxes}
    assert isinstance(stranger.decode(outputs), kinds[stranger.kind])


def _nothing(kind: str) -> Targets:
    images = 2
    present = torch.ones(images, len(LABEL_KINDS), dtype=torch.bool)
    if kind == "labels":
        return Targets(labels=torch.zeros(images, dtype=torch.int64), present=~present)
    if kind == "multilabel":
        return Targets(multilabel=torch.zeros(images, 3), present=~present)
    if kind == "mask":
        return Targets(mask=torch.full((images, 33, 20), 255, dtype=torch.uint8), present=present)
    none = torch.zeros(0, dtype=torch.int64)
    return Targets(boxes=torch.zeros(0, 4), box_label=none, box_image=none, box_ignore=none.bool(), present=present)


@pytest.mark.parametrize("head", HEADS)
def test_nothing_to_learn_from_still_reaches_every_parameter(head, build) -> None:
    network = build("vgg_tiny", head, NECKS.get(head, "none"))
    top = network.heads["only"]
    images = torch.randint(0, 256, (2, 3, *FIXED_SIZE.get(head, (33, 20))), dtype=torch.uint8)
    for targets in (_nothing(top.kind), _nothing(top.kind)._replace(present=torch.zeros(2, 4, dtype=torch.bool))):
        network.zero_grad()
        terms = top.loss(network(images)["only"], targets)
        total = sum(terms.values())
        total.backward()
        assert total.isfinite()
        if top.kind != "boxes" or not targets.present.any():
            assert total == 0  # only a detector learns from an image in which there is nothing
        assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize(("backbone", "head"), [*(("vgg_tiny", head) for head in HEADS), ("resnet18", "fcn")])
def test_exports(backbone, head, build) -> None:
    network = build(backbone, head, NECKS.get(head, "none")).eval()
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    sizes = {0: torch.export.Dim("batch", max=64)}
    if head not in FIXED_SIZE:
        sizes |= {axis: torch.export.Dim(name, min=33, max=640) for axis, name in ((2, "height"), (3, "width"))}
    exported = torch.export.export(network, (images,), dynamic_shapes=(sizes,)).module()
    other_size = FIXED_SIZE.get(head, (75, 53))
    for other in (images, torch.randint(0, 256, (3, 3, *other_size), dtype=torch.uint8)):
        with torch.no_grad():
            for mine, theirs in zip(exported(other)["only"], network(other)["only"], strict=True):
                torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("head", ["unet", "fcos"])
def test_compiles_without_a_break(head, build) -> None:
    network = build("vgg_tiny", head, NECKS.get(head, "none")).eval()
    images = torch.randint(0, 256, (2, 3, 40, 33), dtype=torch.uint8)
    with torch.no_grad():
        compiled = torch.compile(network, backend="eager", fullgraph=True)(images)["only"]
        for mine, theirs in zip(compiled, network(images)["only"], strict=True):
            torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("head", HEADS)
def test_learns_one_batch_by_heart(head, build, scene) -> None:
    network = build("resnet_tiny", head, NECKS.get(head, "none")).to(memory_format=torch.channels_last)
    top = network.heads["only"]
    images, targets = scene(6, *FIXED_SIZE.get(head, (64, 64)), context=255)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(60 if top.kind == "boxes" else 25):
        optimizer.zero_grad()
        sum(top.loss(network(images, targets)["only"], targets).values()).backward()
        optimizer.step()
    for module in top.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    with torch.no_grad():
        prediction = top.decode(network(images)["only"])  # in training mode: 25 steps are few for running statistics
    if top.kind in ("labels", "multilabel"):
        assert (prediction.probabilities.argmax(1) == targets.labels).all()
    elif top.kind == "boxes":
        first = torch.stack([(prediction.image == image).nonzero()[0, 0] for image in range(6)])
        assert (prediction.label[first] == targets.box_label).all()
        assert box_iou(prediction.boxes[first], targets.boxes).diagonal().min() > 0.7
    else:
        known = targets.mask != 255
        assert (prediction.logits.argmax(1)[known] == targets.mask[known]).float().mean() > 0.97


@pytest.mark.parametrize(("alias", "head"), ALIASES.items())
def test_a_task_finds_its_head_and_neck(alias, head, build) -> None:
    network = build("vgg_tiny", alias, alias, device="meta")
    same = build("vgg_tiny", head, NECKS.get(head, "none"), device="meta")
    assert type(network.heads["only"]) is type(same.heads["only"])
    assert [type(neck) for neck in network.necks.values()] == [type(neck) for neck in same.necks.values()]


def test_fcos_without_a_neck_says_what_to_type(build) -> None:
    with pytest.raises(Exception, match="choose neck=fpn"):
        build("vgg_tiny", "fcos")
