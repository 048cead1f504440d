import pytest
import torch
import torch.nn.functional as F

from visionkit.losses.segmentation import CrossEntropyDice
from visionkit.models.heads.fcn import FCNHead
from visionkit.models.heads.unet import UNetHead
from visionkit.types import Level

LEVELS = (Level(4, 2), Level(6, 4), Level(8, 8))


def _maps() -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, -(-21 // s), -(-13 // s), generator=g) for c, s in LEVELS]


def test_fcn_sums_scores_coarse_to_fine() -> None:
    torch.manual_seed(0)
    head, maps = FCNHead(4, CrossEntropyDice(), levels=LEVELS, num_classes=3), _maps()
    fine, coarse = head.scores[0](maps[1]), head.scores[1](maps[2])
    total = fine + F.interpolate(coarse, size=(6, 4), mode="bilinear", align_corners=False)
    expected = F.interpolate(total, size=(21, 13), mode="bilinear", align_corners=False)
    torch.testing.assert_close(head(maps, (21, 13)).logits, expected)


def test_fcn_scores_of_even_maps_are_even() -> None:
    head = FCNHead(2, CrossEntropyDice(), levels=LEVELS, num_classes=3)
    for conv in head.scores:
        torch.nn.init.zeros_(conv.weight)
        conv.bias.data = torch.tensor([1.0, 2.0, 3.0])
    logits = head(_maps(), (21, 13)).logits
    torch.testing.assert_close(logits, torch.tensor([3.0, 6.0, 9.0])[None, :, None, None].expand(2, 3, 21, 13))


def test_unet_joins_every_level_from_the_coarsest_on() -> None:
    torch.manual_seed(0)
    head, maps = UNetHead([32, 10, 5], CrossEntropyDice(), levels=LEVELS, num_classes=3).eval(), _maps()
    widths = [(join[0][0].in_channels, join[0][0].out_channels) for join in head.joins]
    assert widths == [(8 + 6, 10), (10 + 4, 5)]  # the widths are lined up at the finest level
    middle = head.joins[0](torch.cat([F.interpolate(maps[2], size=(6, 4), mode="bilinear"), maps[1]], 1))
    finest = head.joins[1](torch.cat([F.interpolate(middle, size=(11, 7), mode="bilinear"), maps[0]], 1))
    expected = F.interpolate(head.score(finest), size=(21, 13), mode="bilinear")
    torch.testing.assert_close(head(maps, (21, 13)).logits, expected)


@pytest.mark.parametrize("kind", ["fcn", "unet"])
def test_decoding_keeps_the_logits(kind: str) -> None:
    loss = CrossEntropyDice()
    head = (
        FCNHead(2, loss, levels=LEVELS, num_classes=3)
        if kind == "fcn"
        else UNetHead([8, 4], loss, levels=LEVELS, num_classes=3)
    )
    outputs = head(_maps(), (21, 13))
    assert torch.equal(head.decode(outputs).logits, outputs.logits)


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"min_stride=16 or more; they have \[2, 4, 8\]"):
        FCNHead(16, CrossEntropyDice(), levels=LEVELS, num_classes=3)
    with pytest.raises(ValueError, match=r"over 3 levels needs 2 widths or more.*channels=\[8\] has 1"):
        UNetHead([8], CrossEntropyDice(), levels=LEVELS, num_classes=3)
    with pytest.raises(ValueError, match="two levels at least"):
        UNetHead([8], CrossEntropyDice(), levels=LEVELS[:1], num_classes=3)
