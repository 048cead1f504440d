from __future__ import annotations

import math

import numpy as np
import pytest

from visionkit.data.augmentation.crop import RandomCrop
from visionkit.data.geometry import Placement


def drawn(
    crop: RandomCrop, shape: tuple[int, int], size: tuple[int, int], number: int, beyond: bool = False
) -> list[Placement]:
    rng = np.random.default_rng(0)
    return [crop.draw(rng, *shape, size, beyond=beyond) for _ in range(number)]


@pytest.mark.parametrize("shape", [(400, 533), (533, 400), (300, 300)])
def test_area_and_aspect_are_spread_as_torchvision_spreads_them(shape: tuple[int, int]) -> None:
    """The same quantiles as RandomResizedCrop, which draws other numbers."""
    import torch
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.empty(3, *shape)
    theirs = np.asarray([RandomResizedCrop.get_params(image, [0.2, 1.0], [0.75, 4 / 3]) for _ in range(4000)])
    ours = np.asarray([one.window for one in drawn(RandomCrop((0.2, 1.0), (0.75, 4 / 3)), shape, (224, 224), 4000)])
    for measure in (
        lambda w: w[:, 2] * w[:, 3] / math.prod(shape),
        lambda w: np.log(w[:, 3] / w[:, 2]),
        lambda w: (w[:, 0] + w[:, 2] / 2) / shape[0],
        lambda w: (w[:, 1] + w[:, 3] / 2) / shape[1],
    ):
        levels = np.linspace(0.05, 0.95, 10)
        assert np.abs(np.quantile(measure(ours), levels) - np.quantile(measure(theirs), levels)).max() < 0.03


def test_windows_lie_inside_and_fill_the_network() -> None:
    for placement in drawn(RandomCrop((0.05, 1.0), (0.5, 2.0)), (61, 97), (32, 48), 500):
        top, left, height, width = placement.window
        assert top >= 0
        assert left >= 0
        assert top + height <= 61
        assert left + width <= 97
        assert (placement.inner, placement.corner, placement.target) == ((32, 48), (0, 0), (32, 48))
    edges = {
        (w.window[0] == 0, w.window[0] + w.window[2] == 61)
        for w in drawn(RandomCrop((0.5, 1.0), (1.0, 1.0)), (61, 97), (32, 48), 400)
    }
    assert edges == {(False, False), (True, False), (False, True)} | ({(True, True)} & edges)


def test_ratio_is_relative_to_the_network() -> None:
    for placement in drawn(RandomCrop((0.3, 0.3), (1.0, 1.0)), (200, 300), (32, 96), 50):
        assert placement.window[3] / placement.window[2] == pytest.approx(3, rel=0.03)
        assert placement.window[2] * placement.window[3] == pytest.approx(0.3 * 200 * 300, rel=0.03)


def test_the_middle_is_taken_where_nothing_fits() -> None:
    (placement,) = drawn(RandomCrop((1.0, 1.0), (1.0, 1.0)), (100, 300), (50, 50), 1)
    assert placement.window == (0, 100, 100, 100)


def test_beyond_the_image_all_of_it_is_seen_smaller() -> None:
    """At 4 times the area and no distortion a side is half as long as it would be."""
    seen = drawn(RandomCrop((4.0, 4.0), (1.0, 1.0)), (100, 100), (64, 64), 200, beyond=True)
    assert all(one.window == (0, 0, 100, 100) for one in seen)
    assert all(one.inner == (32, 32) for one in seen)
    corners = np.asarray([one.corner for one in seen])
    assert corners.min() == 0
    assert corners.max() == 32
    assert abs(np.corrcoef(corners.T)[0, 1]) < 0.3
    for one in drawn(RandomCrop((0.5, 2.0), (0.5, 2.0)), (61, 97), (40, 56), 500, beyond=True):
        (top, left), (height, width) = one.corner, one.inner
        assert min(top, left) >= 0
        assert top + height <= 40
        assert left + width <= 56
        assert min(height, width) >= 1
        # what is seen keeps the window's own scale, to a pixel
        virtual = one.window[2] * 40 / height * one.window[3] * 56 / width
        assert 0.4 * 61 * 97 < virtual < 2.3 * 61 * 97
    assert all(one.inner == (64, 64) for one in drawn(RandomCrop((0.5, 4.0), (1.0, 1.0)), (100, 100), (64, 64), 50))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3)])
@pytest.mark.parametrize("beyond", [True, False])
def test_the_smallest_images(shape: tuple[int, int], beyond: bool) -> None:
    for one in drawn(RandomCrop((0.1, 3.0), (0.5, 2.0)), shape, (32, 32), 60, beyond):
        assert min(one.window[2:]) >= 1
        assert min(one.inner) >= 1
        assert one.image(np.zeros((*shape, 3), dtype=np.uint8)).shape == (32, 32, 3)
