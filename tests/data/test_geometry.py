from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from visionkit.config.values import image_size
from visionkit.data.geometry import AREA_BELOW, PAD_VALUE, Crop, Fit, Placement
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


def brute(placement: Placement, mask: NDArray[np.uint8], fill: int) -> NDArray[np.uint8]:
    """The mask's value at the point of the source that each target pixel's centre shows."""
    target = np.full(placement.target, fill, dtype=np.uint8)
    (y0, x0), (rows, columns), (top, left, height, width) = placement.corner, placement.inner, placement.window
    for y in range(rows):
        for x in range(columns):
            source = (top + int((y + 0.5) * height / rows), left + int((x + 0.5) * width / columns))
            target[y0 + y, x0 + x] = mask[source]
    return target[:, ::-1] if placement.mirror else target


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(
    ("window", "inner", "corner"),
    [((3, 5, 20, 30), (12, 16), (0, 0)), ((0, 10, 40, 9), (10, 7), (2, 9)), ((39, 59, 1, 1), (12, 3), (0, 13))],
)
def test_a_window_is_what_brute_force_shows(
    window: tuple[int, int, int, int], inner: tuple[int, int], corner: tuple[int, int], mirror: bool
) -> None:
    mask = np.random.default_rng(0).integers(0, 200, (40, 60), dtype=np.uint8)
    placement = Placement((40, 60), window, inner, corner, (12, 16), mirror)
    assert np.array_equal(placement.mask(mask), brute(placement, mask, IGNORE_INDEX))
    assert np.array_equal(placement.mask(mask.astype(np.uint16), fill=0), brute(placement, mask, 0))


@pytest.mark.parametrize("mirror", [False, True])
def test_boxes_follow_windows_and_mirrors(mirror: bool) -> None:
    placement = Placement(
        (40, 60), (10, 20, 20, 10), (20, 20), (5, 2), (30, 40), mirror
    )  # x twice as large, y as it is
    boxes = placement.boxes(np.asarray([[22, 12, 25, 17], [0, 0, 60, 40]], dtype=np.float32))
    expected = [[6, 7, 12, 12], [-38, -5, 82, 35]]
    if mirror:
        expected = [[40 - x2, y1, 40 - x1, y2] for x1, y1, x2, y2 in expected]
    assert boxes.tolist() == expected


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_picture_decoded_smaller_comes_to_lie_where_its_labels_are(factor: int, mirror: bool) -> None:
    """A rectangle on the coarse grid, drawn small and placed, fills its box exactly."""
    source, window = (35 * factor + 3, 50 * factor + 1), (5 * factor + 1, 3 * factor + 1, 20 * factor, 30 * factor)
    placement = Placement(source, window, (15, 20), (1, 2), (20, 30), mirror).snapped(factor)
    top, left, height, width = placement.window
    assert not any(side % factor for side in placement.window)
    assert 0 <= top - window[0] < factor
    assert 0 <= window[1] + window[3] - (left + width) < factor
    rounded_up = [-(-side // factor) for side in source]  # as the decoder makes it
    small = np.zeros((*rounded_up, 3), dtype=np.uint8)
    small[6:25, 4:33] = 255  # the snapped window itself
    mask = np.zeros(source, dtype=np.uint8)
    mask[6 * factor : 25 * factor, 4 * factor : 33 * factor] = 1
    assert (top, left, height, width) == (6 * factor, 4 * factor, 19 * factor, 29 * factor)
    image = placement.image(small, factor)
    assert np.array_equal(image[..., 0] == 255, placement.mask(mask) == 1)
    with pytest.raises(ValueError, match=f"at 1/{factor} of it"):
        placement.image(small[1:], factor)


def test_reduction_leaves_the_pixels_that_the_target_needs() -> None:
    def of(height: int, width: int, top: int = 0) -> int:
        return Placement((4000, 4000), (top, 0, height, width), (100, 50), (0, 0), (100, 50)).reduction

    assert [of(799, 4000), of(800, 399), of(800, 400), of(4000, 4000)] == [4, 4, 8, 8]
    assert [of(199, 800), of(200, 100), of(200, 99), of(100, 50), of(7, 7)] == [1, 2, 1, 1, 1]
    assert [of(200, 100, 1), of(202, 100, 1), of(201, 100, 1)] == [1, 2, 2]  # snapping takes a row from either end


def test_crop_takes_the_middle_and_fills_the_size() -> None:
    assert Crop((50, 100)).place(200, 200).window == (50, 0, 100, 200)
    assert Crop((64, 64)).place(30, 61).window == (0, 15, 30, 30)
    for shape in SHAPES:
        for size in SIZES:
            placement = Crop(size).place(*shape)
            assert placement.image(np.zeros((*shape, 3), dtype=np.uint8)).shape == (*size, 3)
            assert placement.window[2] == shape[0] or placement.window[3] == shape[1]
    with pytest.raises(ValueError, match="0 x 5"):
        Crop((64, 64)).place(0, 5)


def test_scores_of_a_part_are_not_taken_for_the_whole() -> None:
    with pytest.raises(ValueError, match="as a whole"):
        Crop((8, 8)).place(10, 20).restore.scores(torch.zeros(2, 8, 8))


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 13])
def test_any_number_of_channels(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 70, channels), dtype=np.uint8)
    for size in ((20, 20), (64, 80), (120, 100)):
        for placement in (
            Fit(size).place(90, 70),
            Placement((90, 70), (2, 4, 60, 40), size, (0, 0), size, mirror=True),
        ):
            placed = placement.image(image)
            planes = [placement.image(np.ascontiguousarray(image[..., [c] * 3]))[..., 0] for c in range(channels)]
            assert np.abs(placed.astype(int) - np.stack(planes, axis=2)).max() <= 1
