from typing import Any

import pytest
import torch
from torch import nn

from visionkit.losses.cross_entropy import CrossEntropy
from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.heads.vgg import VGGHead
from visionkit.types import Level, Targets

LEVELS = (Level(4, 2), Level(6, 8))


def _head(hidden: Any = (5, 7), size: Any = (16, 24), dropout: float = 0.0) -> VGGHead:
    torch.manual_seed(0)
    return VGGHead(hidden, dropout, size, CrossEntropy(), levels=LEVELS, num_classes=3)


def _maps(height: int = 2, width: int = 3) -> list[torch.Tensor]:
    return [torch.randn(4, 4, 4 * height, 4 * width), torch.randn(4, 6, height, width)]


def test_every_cell_of_the_coarsest_map_has_weights_of_its_own() -> None:
    head, maps = _head(), _maps()
    assert [tuple(p.shape) for p in head.parameters() if p.dim() == 2] == [(5, 36), (7, 5), (3, 7)]
    first, second, last = (layer for layer in head.classifier if isinstance(layer, nn.Linear))
    flat = torch.stack([maps[1][:, c, y, x] for c in range(6) for y in range(2) for x in range(3)], dim=1)
    hidden = (flat @ first.weight.T + first.bias).relu()
    expected = (hidden @ second.weight.T + second.bias).relu() @ last.weight.T + last.bias
    outputs = head(maps, (16, 24))
    torch.testing.assert_close(outputs.logits, expected)
    assert outputs.auxiliary.shape == (0, 4, 3)


def test_without_hidden_layers_it_is_linear() -> None:
    head, maps = _head(hidden=[]), _maps()
    torch.testing.assert_close(
        head(maps, (16, 24)).logits, maps[1].flatten(1) @ head.classifier[0].weight.T + head.classifier[0].bias
    )


def test_dropout_follows_every_hidden_layer_and_rests_in_evaluation() -> None:
    head, maps = _head(dropout=0.5), _maps()
    assert [type(layer) for layer in head.classifier] == [nn.Linear, nn.ReLU, nn.Dropout] * 2 + [nn.Linear]
    first, second = (head(maps, (16, 24)).logits for _ in range(2))
    assert not torch.equal(first, second)
    head.eval()
    assert torch.equal(head(maps, (16, 24)).logits, head(maps, (16, 24)).logits)


def test_loss_and_prediction_are_those_of_one_label_an_image() -> None:
    head = _head()
    outputs = head(_maps(), (16, 24))
    labels = torch.tensor([0, 1, 2, 0])
    terms = head.loss(outputs, Targets(labels=labels))
    assert list(terms) == ["cross_entropy"]
    torch.testing.assert_close(terms["cross_entropy"], nn.functional.cross_entropy(outputs.logits, labels))
    torch.testing.assert_close(head.decode(outputs).probabilities, outputs.logits.softmax(1))


def test_hidden_layers_keep_the_scale_of_what_they_get() -> None:
    torch.manual_seed(0)
    head = VGGHead([512, 512], 0.5, 64, CrossEntropy(), levels=(Level(32, 8),), num_classes=3).eval()
    layers = head.classifier[:-1]
    assert layers(torch.randn(64, 32 * 64)).square().mean().sqrt().item() == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("padding", ["same", "published"])
def test_both_paddings_give_the_cells_that_it_counts_on(padding: str) -> None:
    stages = [{"block": "plain", "channels": 6, "depth": 1, "stride": 1 + (i > 0)} for i in range(4)]
    net = ConvNet([], stages, padding=padding)
    head = VGGHead([5], 0.0, [40, 24], CrossEntropy(), levels=net.levels, num_classes=3)
    assert head.cells == (5, 3)
    assert head(net(torch.randn(2, 3, 40, 24)), (40, 24)).logits.shape == (2, 3)
    for side in (39, 41):
        maps = net(torch.randn(2, 3, side, 24))
        if maps[-1].shape[2] != 5:  # one of the two, by padding
            with pytest.raises(ValueError, match=rf"images of {side} x 24 pixels give head=vgg a map of . x 3 cells"):
                head(maps, (side, 24))


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"images of 24 x 24 .* map of 3 x 3 cells, .* built for 16 x 24 pixels and 2 x 3 cells"
    ):
        _head()(_maps(3, 3), (24, 24))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 75}, r"head\.input_size=75, .* does not fit .* multiples of 8, .* in place of 75 give 72 or 80"),
        ({"size": [16, 20]}, r"head\.input_size=\[16, 20\], .* does not fit .* in place of 20 give 16 or 24"),
        ({"size": 5}, "in place of 5 give 8$"),
        ({"size": 0}, r"head\.input_size=0; it is one number of pixels"),
        ({"size": [8, 8, 8]}, r"head\.input_size=\[8, 8, 8\]; it is one number"),
        ({"hidden": [5, 0]}, r"head\.hidden=\[5, 0\]; widths are whole numbers"),
        ({"dropout": 1.5}, "between 0 and 1"),
    ],
)
def test_what_it_cannot_be_built_for_says_what_to_type(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _head(**settings)
