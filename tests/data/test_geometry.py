from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from visionkit.config.values import image_size
from visionkit.data.geometry import AREA_BELOW, PAD_VALUE, Fit
from visionkit.errors import ConfigError
from visionkit.types import IGNORE_INDEX, Restore

SHAPES = [(64, 64), (63, 101), (7, 300), (300, 7), (1, 1), (480, 640), (33, 32)]
SIZES = [(64, 64), (96, 64), (65, 129)]


def test_hand_worked_placement() -> None:
    placement = Fit((64, 64)).place(50, 100)  # scale 0.64: 32 x 64, 16 rows of padding above and below
    assert (placement.inner, placement.corner) == ((32, 64), (16, 0))
    boxes = placement.boxes(np.asarray([[0, 0, 100, 50], [10, 25, 20, 50]], dtype=np.float32))
    assert boxes == pytest.approx(np.asarray([[0, 16, 64, 48], [6.4, 32, 12.8, 48]]), abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_everything_has_the_target_size(shape: tuple[int, int], size: tuple[int, int]) -> None:
    placement = Fit(size).place(*shape)
    assert placement.image(np.zeros((*shape, 3), dtype=np.uint8)).shape == (*size, 3)
    assert placement.mask(np.zeros(shape, dtype=np.uint8)).shape == size
    assert placement.inner[0] == size[0] or placement.inner[1] == size[1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_boxes_come_back(shape: tuple[int, int], size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (50, 2, 2)), axis=1) * np.asarray(shape[::-1])
    boxes = corners.reshape(50, 4).astype(np.float32)
    placement = Fit(size).place(*shape)
    restored = placement.restore.boxes(placement.boxes(boxes))
    assert np.abs(restored - boxes).max() <= 2e-6 * max(*shape) * max(1, max(shape) / min(placement.inner))
    assert restored.dtype == np.float32


def test_restored_boxes_are_clipped() -> None:
    restore = Fit((64, 64)).place(50, 100).restore
    assert restore.boxes(np.asarray([[-5, 0, 70, 64]], dtype=np.float32)).tolist() == [[0, 0, 100, 50]]
    assert restore.boxes(np.zeros((0, 4), dtype=np.float32)).shape == (0, 4)
    assert restore.size == (50, 100)


def edges(profile: NDArray[np.float64]) -> tuple[float, float]:
    """The position of a bright bar on a dark line, with pixel i covering [i, i + 1): its centroid -+ half its mass."""
    mass = profile.sum()
    centre = (profile * (np.arange(len(profile)) + 0.5)).sum() / mass
    return centre - mass / 2, centre + mass / 2


@pytest.mark.parametrize("shape", [(40, 60), (63, 101), (150, 110), (480, 640), (31, 31)])
@pytest.mark.parametrize("size", SIZES)
def test_a_drawn_rectangle_lies_in_its_box(shape: tuple[int, int], size: tuple[int, int]) -> None:
    height, width = shape
    x1, y1, x2, y2 = width // 4, height // 3, width - width // 3, height - height // 5
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[y1:y2, x1:x2] = 255
    mask = (image[..., 0] == 255).astype(np.uint8)
    placement = Fit(size).place(height, width)
    box = placement.boxes(np.asarray([[x1, y1, x2, y2]], dtype=np.float32))[0]

    (top, left), (inner_height, inner_width) = placement.corner, placement.inner
    inside = placement.image(image)[top : top + inner_height, left : left + inner_width, 0].astype(np.float64) / 255
    middle_y, middle_x = int((box[1] + box[3]) / 2) - top, int((box[0] + box[2]) / 2) - left
    drawn_x = [edge + left for edge in edges(inside[middle_y])]
    drawn_y = [edge + top for edge in edges(inside[:, middle_x])]
    tolerance = 0.08 if min(size[0] / height, size[1] / width) >= 1 else 0.25  # linear shrinking does not integrate
    assert drawn_x == pytest.approx([box[0], box[2]], abs=tolerance)
    assert drawn_y == pytest.approx([box[1], box[3]], abs=tolerance)

    placed = placement.mask(mask) == 1  # a pixel belongs to the class at its centre
    centres_y, centres_x = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    expected = ((centres_y > box[1]) & (centres_y < box[3]))[:, None] & ((centres_x > box[0]) & (centres_x < box[2]))
    on_edge = np.isclose(centres_y[:, None], box[[1, 3]]).any(), np.isclose(centres_x[:, None], box[[0, 2]]).any()
    if not any(on_edge):
        assert np.array_equal(placed, expected)


def test_padding_is_grey_and_ignored() -> None:
    placement = Fit((10, 10)).place(10, 4)
    image, mask = placement.image(np.zeros((10, 4, 3), dtype=np.uint8)), placement.mask(np.zeros((10, 4), np.uint8))
    assert (image[:, :3] == PAD_VALUE).all()
    assert (image[:, 7:] == PAD_VALUE).all()
    assert (image[:, 3:7] == 0).all()
    assert (mask[:, [0, 2, 7, 9]] == IGNORE_INDEX).all()
    assert (mask[:, 3:7] == 0).all()


def test_a_fitting_image_is_not_touched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    assert Fit((12, 9)).place(12, 9).image(image) is image


def test_shrinking_a_lot_averages() -> None:
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 255  # finer than the result: only averaging sees both colours
    assert AREA_BELOW > 64 / 255
    for side in (256, 255):  # halved twice, averaged at once
        small = Fit((64, 64)).place(side, side).image(stripes[:side, :side]).astype(int)
        assert np.abs(small - 127).max() <= (1 if side == 256 else 20)


def test_scores_come_back_without_padding() -> None:
    height, width = 50, 100
    placement = Fit((64, 64)).place(height, width)
    columns = (torch.arange(64) + 0.5).expand(64, 64).clone()
    columns[:16] = columns[48:] = 1e6  # nothing of the padding may leak in
    restored = placement.restore.scores(torch.stack([columns, -columns]))
    assert restored.shape == (2, height, width)
    assert restored.dtype == np.float32
    expected = (np.arange(width) + 0.5) * 0.64
    assert np.abs(restored[0, :, 1:-1] - expected[1:-1]).max() < 1e-4
    assert np.array_equal(restored[1], -restored[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_of_any_shape(shape: tuple[int, int]) -> None:
    scores = torch.full((3, 64, 96), 2.0, dtype=torch.bfloat16, requires_grad=True)
    restored = Fit((64, 96)).place(*shape).restore.scores(scores)
    assert restored.shape == (3, *shape)
    assert (restored == 2).all()


def test_it_is_a_restore() -> None:
    restore: Restore = Fit((64, 64)).place(3, 4).restore
    assert restore.size == (3, 4)


@pytest.mark.parametrize("size", [0, -3, (1, 2, 3), (4, 0), [2.5, 3], "64"])
def test_wrong_sizes_are_refused(size: object) -> None:
    with pytest.raises(ConfigError, match=r"\[height, width\]"):
        image_size(size)  # type: ignore[arg-type]


def test_sizes_and_pictures_that_do_not_fit() -> None:
    assert image_size(5) == (5, 5)
    assert image_size([5, 6]) == (5, 6)
    with pytest.raises(ValueError, match="0 x 5"):
        Fit((4, 4)).place(0, 5)
    with pytest.raises(ValueError, match="this placement is for"):
        Fit((4, 4)).place(2, 5).mask(np.zeros((5, 2), dtype=np.uint8))


def test_import_is_light() -> None:
    code = "import sys, visionkit.data.geometry; print({'albumentations', 'lightning', 'sklearn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
