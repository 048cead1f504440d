import pytest
import torch
from torch import nn

from visionkit.losses.cross_entropy import CrossEntropy
from visionkit.losses.fcos import FCOSLoss
from visionkit.losses.segmentation import CrossEntropyDice
from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.heads.fcn import FCNHead
from visionkit.models.heads.fcos import FCOSHead
from visionkit.models.heads.linear import LinearHead
from visionkit.models.necks.fpn import FPN
from visionkit.models.network import Network
from visionkit.types import Boxes, ClassScores, MaskScores

MEAN, STD = [0.5, 0.25, 0.0], [0.5, 0.25, 1.0]


def _network() -> Network:
    stages = [{"block": "plain", "channels": 8 * 2**i, "depth": 1, "stride": 1 + (i > 0)} for i in range(3)]
    backbone = ConvNet([{"channels": 8, "kernel": 3, "stride": 2}], stages)
    neck = FPN(8, 4, 2, levels=backbone.levels)
    heads = {
        "label": LinearHead(0.0, 0.3, CrossEntropy(), levels=backbone.levels, num_classes=3),
        "mask": FCNHead(4, CrossEntropyDice(), levels=neck.levels, num_classes=3),
        "box": FCOSHead(
            1, "exp", "centre", 0.05, 1.5, 0.05, 0.6, 100, 10, FCOSLoss(), levels=neck.levels, num_classes=3
        ),
    }
    return Network(backbone, {"fpn": neck}, heads, {"label": None, "mask": "fpn", "box": "fpn"}, MEAN, STD)


def test_normalises_by_mean_and_std_in_shares_of_255() -> None:
    images = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    assert _network().normalize(images).flatten().tolist() == pytest.approx([1.0, -1.0, 0.2])


def test_normalising_keeps_the_memory_format() -> None:
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8).to(memory_format=torch.channels_last)
    normal = _network().normalize(images)
    assert normal.dtype == torch.float32
    assert normal.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 3, 1, 1), (3, 3, 8, 4)])
def test_normalising_is_the_plain_arithmetic_bit_for_bit(memory_format: torch.memory_format, shape: tuple) -> None:
    network = _network()
    network.mean.copy_(255 * torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
    images = torch.randint(0, 256, shape, dtype=torch.uint8).to(memory_format=memory_format)
    before = images.clone()
    assert torch.equal(network.normalize(images), (images.float() - network.mean) / network.std)
    assert torch.equal(images, before)
    real = images.float()  # of what is float already, the caller's tensor stays as it is
    assert torch.equal(network.normalize(real), network.normalize(images))
    assert torch.equal(real, images.float())


def test_heads_share_a_neck_and_every_parameter_is_used() -> None:
    network, calls = _network(), []
    network.necks["fpn"].register_forward_hook(lambda *_: calls.append(1))
    outputs = network(torch.randint(0, 256, (2, 3, 33, 20), dtype=torch.uint8))
    assert len(calls) == 1
    sum(t.sum() for head in outputs.values() for t in head if t.requires_grad).backward()
    assert all(p.grad is not None for p in network.parameters())
    kinds = {name: type(prediction) for name, prediction in network.decode(outputs).items()}
    assert kinds == {"label": ClassScores, "mask": MaskScores, "box": Boxes}


def test_steps_make_up_forward() -> None:
    network = _network().eval()
    images = torch.randint(0, 256, (2, 3, 33, 20), dtype=torch.uint8)
    by_steps = network.outputs(network.features(network.normalize(images)), (33, 20))
    for name, outputs in network(images).items():
        for whole, stepped in zip(outputs, by_steps[name], strict=True):
            assert torch.equal(whole, stepped)


def test_mean_and_std_are_saved() -> None:
    state = _network().state_dict()
    assert state["mean"].flatten().tolist() == [127.5, 63.75, 0]
    assert state["std"].flatten().tolist() == [127.5, 63.75, 255]


def test_bad_wiring_says_what_is_allowed() -> None:
    parts = _network()
    backbone, neck, head = parts.backbone, parts.necks["fpn"], parts.heads["box"]
    with pytest.raises(ValueError, match="at least one head"):
        Network(backbone, {}, {}, {}, MEAN, STD)
    with pytest.raises(ValueError, match=r"routes name the heads \['bx'\] but the heads are \['box'\]"):
        Network(backbone, {}, {"box": head}, {"bx": None}, MEAN, STD)
    with pytest.raises(ValueError, match="'fnp', which is not there; did you mean 'fpn'"):
        Network(backbone, {"fpn": neck}, {"box": head}, {"box": "fnp"}, MEAN, STD)
    with pytest.raises(ValueError, match="no head reads the neck 'fpn'"):
        Network(backbone, {"fpn": neck}, {"box": head}, {"box": None}, MEAN, STD)
    with pytest.raises(ValueError, match="every std above 0"):
        Network(backbone, {"fpn": neck}, {"box": head}, {"box": "fpn"}, MEAN, [1, 1, 0])
    assert isinstance(parts, nn.Module)
