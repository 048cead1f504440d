"""The auxiliary classifiers of the Inceptions: torchvision's tensors and numbers, trained and never evaluated."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import googlenet, inception_v3

from tests.models.backbone_checks import published
from visionkit.models.backbones.inception_auxiliary import GoogLeNetAuxiliary, InceptionV3Auxiliary
from visionkit.models.backbones.torchvision import Torchvision

WHOLE = {"googlenet": googlenet, "inception_v3": inception_v3}
MAPS = {"aux1": (512, 14), "aux2": (528, 14), "AuxLogits": (768, 17)}


def _count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(
    ("option", "with_them", "without"), [("googlenet", 13_004_888, 6_624_904), ("inception_v3", 27_161_264, None)]
)
def test_parameters_are_as_many_as_published(option, with_them, without, build) -> None:
    body = build(option, "linear", device="meta").backbone
    with torch.device("meta"):
        classifier = nn.Linear(body.levels[-1].channels, 1000)
        auxiliary = body.auxiliary_classifiers(1000)
    assert _count(body, classifier, *auxiliary) == with_them
    assert without is None or _count(body, classifier) == without


@pytest.mark.parametrize("option", ["googlenet", "inception_v3"])
def test_tensors_and_logits_are_torchvisions(option, build) -> None:
    body = build(option, "linear", device="meta").backbone
    torch.manual_seed(0)
    auxiliary = body.auxiliary_classifiers(10)
    assert len(auxiliary) == len(body.auxiliary) > 0
    model = published(option, num_classes=10)
    for prefix, ours in zip(body.auxiliary, auxiliary, strict=True):
        theirs = model.get_submodule(prefix)
        assert {k: v.shape for k, v in ours.state_dict().items()} == {
            k: v.shape for k, v in theirs.state_dict().items()
        }
        theirs.load_state_dict(ours.state_dict(), assign=True)
        channels, side = MAPS[prefix]
        maps = torch.randn(2, channels, side, side)
        torch.testing.assert_close(ours.eval()(maps), theirs.eval()(maps))
        assert [m.p for m in ours.modules() if isinstance(m, nn.Dropout)] == [
            m.p for m in theirs.modules() if isinstance(m, nn.Dropout)
        ]


@pytest.mark.parametrize(("kind", "channels"), [(GoogLeNetAuxiliary, 512), (InceptionV3Auxiliary, 768)])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (3, 20), (17, 16), (19, 23)])
def test_maps_of_any_size_are_classified(kind, channels, size) -> None:
    assert kind(channels, 7)(torch.randn(2, channels, *size)).shape == (2, 7)


@pytest.mark.parametrize(("option", "size"), [("googlenet", 64), ("inception_v3", 96)])
def test_training_reaches_them_and_evaluation_leaves_them_out(option, size, build, scene) -> None:
    network = build(option, "linear")
    head = network.heads["only"]
    images, targets = scene(2, size, size)
    outputs = network(images, targets)["only"]
    assert len(outputs.auxiliary) == len(head.auxiliary_classifiers) == len(network.backbone.auxiliary)
    head.loss(outputs, targets)["auxiliary_cross_entropy"].backward()
    reached = [n for n, p in head.auxiliary_classifiers.named_parameters() if p.grad is not None and p.grad.any()]
    assert len(reached) == len(list(head.auxiliary_classifiers.parameters()))
    stem = dict(network.named_parameters())[f"backbone.{network.backbone.first_convolution}"]
    assert stem.grad is not None
    assert stem.grad.any()  # they train the backbone, not just themselves
    assert head.classifier.weight.grad is None

    def refuse(*_: object) -> None:
        raise AssertionError("evaluation runs an auxiliary classifier")

    for classifier in head.auxiliary_classifiers:
        classifier.register_forward_pre_hook(refuse)
    with torch.no_grad():
        assert len(network.eval()(images)["only"].auxiliary) == 0


def test_levels_that_end_before_a_classifier_have_none() -> None:
    with torch.device("meta"):
        short = Torchvision("googlenet", {"inception3b": [480, 8]})
        middle = Torchvision("googlenet", {"inception3b": [480, 8], "inception4b": [512, 16]})
        inside = Torchvision("googlenet", {"inception4d.branch1": [112, 16]})
    assert short.auxiliary_classifiers(3) == []
    assert [*middle.auxiliary] == [*inside.auxiliary] == ["aux1"]
    assert [m.shape[1] for m in middle(torch.empty(1, 3, 64, 64, device="meta"))] == [480, 512, 512]
    for body in (short, middle, inside):
        assert all(body.level_of(name) < len(body.levels) for name in body.state_dict())
