import pytest
import torch
from torchvision.ops import FeaturePyramidNetwork

from visionkit.models.necks.fpn import FPN
from visionkit.types import Level

LEVELS = (Level(4, 2), Level(8, 4), Level(12, 8), Level(16, 16))


def _maps(height: int, width: int) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, -(-height // s), -(-width // s), generator=g) for c, s in LEVELS]


@pytest.mark.parametrize("size", [(64, 64), (75, 53)])
def test_equals_torchvisions_pyramid(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours, theirs = FPN(6, 4, 3, levels=LEVELS), FeaturePyramidNetwork([8, 12, 16], 6)
    for mine, block in zip(ours.lateral, theirs.inner_blocks, strict=True):
        block[0].load_state_dict(mine.state_dict())
    for mine, block in zip(ours.smooth, theirs.layer_blocks, strict=True):
        block[0].load_state_dict(mine.state_dict())
    maps = _maps(*size)
    expected = theirs({str(index): level for index, level in enumerate(maps[1:])})
    for mine, other in zip(ours(maps), expected.values(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize(
    ("min_stride", "num_levels", "strides"),
    [(4, 3, [4, 8, 16]), (4, 5, [4, 8, 16, 32, 64]), (8, 1, [8]), (2, 2, [2, 4]), (5, 3, [8, 16, 32])],
)
def test_levels_shapes_and_gradients(min_stride: int, num_levels: int, strides: list[int]) -> None:
    neck = FPN(6, min_stride, num_levels, levels=LEVELS)
    assert neck.levels == tuple(Level(6, stride) for stride in strides)
    maps = neck(_maps(75, 53))
    for level, made in zip(neck.levels, maps, strict=True):
        assert made.shape == (2, 6, -(-75 // level.stride), -(-53 // level.stride))
    sum(made.sum() for made in maps).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_additional_levels_follow_from_the_coarsest_with_relu_between() -> None:
    neck = FPN(6, 16, 3, levels=LEVELS)
    first, second, third = neck(_maps(64, 64))
    torch.testing.assert_close(second, neck.extra[0](first))
    torch.testing.assert_close(third, neck.extra[1](second.relu()))


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"min_stride=32 or more; they have \[2, 4, 8, 16\]"):
        FPN(6, 32, 3, levels=LEVELS)
    with pytest.raises(ValueError, match="num_levels=0"):
        FPN(6, 4, 0, levels=LEVELS)
