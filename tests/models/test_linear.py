import torch

from visionkit.losses.cross_entropy import CrossEntropy
from visionkit.models.heads.linear import LinearHead
from visionkit.types import Level


def test_pools_the_last_level() -> None:
    head = LinearHead(0.5, 0.3, CrossEntropy(), levels=(Level(2, 2), Level(4, 4)), num_classes=3).eval()
    fine, coarse = torch.randn(2, 2, 6, 5), torch.randn(2, 4, 3, 3)
    expected = coarse.mean((2, 3)) @ head.classifier.weight.T + head.classifier.bias
    torch.testing.assert_close(head([fine, coarse], (12, 10)).logits, expected)


def test_decodes_probabilities() -> None:
    head = LinearHead(0.0, 0.3, CrossEntropy(), levels=(Level(4, 4),), num_classes=3)
    outputs = head([torch.randn(2, 4, 3, 3)], (12, 12))
    torch.testing.assert_close(head.decode(outputs).probabilities, outputs.logits.softmax(1))


def test_drops_features_in_training_only() -> None:
    head = LinearHead(1.0, 0.3, CrossEntropy(), levels=(Level(4, 4),), num_classes=3)
    torch.testing.assert_close(head([torch.randn(1, 4, 3, 3)], (12, 12)).logits[0], head.classifier.bias)
