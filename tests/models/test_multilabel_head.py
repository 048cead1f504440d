import pytest
import torch

from visionkit.engine.weights.applying import _auxiliary
from visionkit.losses.binary_cross_entropy import BinaryCrossEntropy
from visionkit.models.heads.multilabel import MultilabelHead
from visionkit.types import Level


def test_pools_the_last_level() -> None:
    head = MultilabelHead(0.5, 0.3, BinaryCrossEntropy(), levels=(Level(2, 2), Level(4, 4)), num_classes=3).eval()
    fine, coarse = torch.randn(2, 2, 6, 5), torch.randn(2, 4, 3, 3)
    expected = coarse.mean((2, 3)) @ head.linear.classifier.weight.T + head.linear.classifier.bias
    torch.testing.assert_close(head([fine, coarse], (12, 10)).logits, expected)


def test_each_class_is_scored_by_itself() -> None:
    head = MultilabelHead(0.0, 0.3, BinaryCrossEntropy(), levels=(Level(4, 4),), num_classes=3)
    outputs = head([torch.randn(2, 4, 3, 3)], (12, 12))
    torch.testing.assert_close(head.decode(outputs).probabilities, 1 / (1 + (-outputs.logits).exp()))


def test_it_trains_the_backbones_auxiliary_classifiers(build, scene) -> None:
    network = build("googlenet", "multilabel")
    head = network.heads["only"]
    images, targets = scene(2, 64, 64)
    outputs = network(images, targets)["only"]
    terms = head.loss(outputs, targets)
    assert set(terms) == {"binary_cross_entropy", "auxiliary_binary_cross_entropy"}
    expected = sum(head.linear.criterion(logits, targets)["binary_cross_entropy"] for logits in outputs.auxiliary)
    assert terms["auxiliary_binary_cross_entropy"].item() == pytest.approx(0.3 * expected.item())
    # Published weights find them where they lie in the head.
    found = _auxiliary(network.state_dict(), network.backbone)
    assert set(found) == {name for name in network.state_dict() if ".auxiliary_classifiers." in name}
    assert found["heads.only.linear.auxiliary_classifiers.1.fc2.weight"] == "aux2.fc2.weight"
