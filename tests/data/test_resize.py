from __future__ import annotations

import cv2
import numpy as np
import pytest

from visionkit.data.geometry import Fit
from visionkit.data.pictures.resize import resize


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 8, 9])
@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_AREA])
@pytest.mark.parametrize("size", [(32, 40), (17, 23), (90, 70)])
def test_every_channel_is_resized_by_itself(channels: int, interpolation: int, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 80, channels), dtype=np.uint8)
    resized = resize(picture, *size, interpolation)
    assert resized.shape == (*size, channels)
    for channel in range(channels):
        alone = cv2.resize(np.ascontiguousarray(picture[..., channel]), size[::-1], interpolation=interpolation)
        assert np.abs(resized[..., channel].astype(int) - alone).max() <= 1  # OpenCV rounds in other ways by SIMD


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("source", [(100, 70), (64, 48), (16, 12), (32, 24)])
def test_images_of_any_channels_are_placed(channels: int, source: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*source, channels), dtype=np.uint8)
    placed = Fit((32, 32)).place(*source).image(image)
    assert placed.shape == (32, 32, channels)
    grey = np.repeat(image[..., channels - 1 :], 3, axis=2)
    alone = Fit((32, 32)).place(*source).image(grey)[..., 0]
    assert np.abs(placed[..., -1].astype(int) - alone).max() <= 1
