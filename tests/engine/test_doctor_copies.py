"""Copies are told from pictures that look alike, whatever was done to them."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.doctor_data import cut, scene
from visionkit.engine.doctor import similar
from visionkit.engine.doctor.looking import DETAIL, SIDE
from visionkit.engine.doctor.sameness import NEAR, SAME, agreement
from visionkit.types import Image


def grey(image: Image, side: int) -> NDArray[np.uint8]:
    plain = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(plain, (side, side), interpolation=cv2.INTER_AREA))


def detail(image: Image) -> NDArray[np.float32]:
    return grey(image, DETAIL).astype(np.float32)


def encoded(image: Image, quality: int) -> Image:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1))


def part(image: Image, top: float, left: float, bottom: float, right: float) -> Image:
    height, width = image.shape[:2]
    return np.ascontiguousarray(
        image[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    )


CHANGES = {
    "itself": lambda image: image,
    "half the quality": lambda image: encoded(image, 50),
    "smaller": lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "square": lambda image: cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA),
    "brighter": lambda image: np.clip(image * 0.9 + 20, 0, 255).astype(np.uint8),
    "a tenth cut off one side": lambda image: part(image, 0, 0.1, 1, 1),
    "a tenth cut off the corner": lambda image: part(image, 0.1, 0, 1, 0.9),
    "cut on all sides": lambda image: part(image, 0.03, 0.04, 0.96, 0.95),
    "cut and encoded": lambda image: encoded(cut(image, 0.05), 70),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_copy_is_the_same_picture_in_either_order(change: str) -> None:
    for seed in range(6):
        image = scene(seed, 300, 400)
        copy = CHANGES[change](image)
        for one, two in ((image, copy), (copy, image)):
            found = agreement(detail(one), detail(two))
            assert found.within
            assert found.score >= SAME, (seed, found)


def test_other_pictures_are_not() -> None:
    pictures = [detail(scene(seed, 300, 400)) for seed in range(8)]
    for one, two in itertools.combinations(pictures, 2):
        assert agreement(one, two).score < NEAR


def test_two_views_of_one_scene_are_no_copy() -> None:
    wide = scene(4, 300, 520)
    found = agreement(detail(np.ascontiguousarray(wide[:, :400])), detail(np.ascontiguousarray(wide[:, 60:460])))
    assert found.score >= SAME
    assert not found.within


def test_a_frame_in_which_something_moved_is_no_copy() -> None:
    frame = scene(5, 300, 400)
    later = frame.copy()
    for row in range(4):
        for column in range(4):
            later[70 * row + 8 : 70 * row + 50, 90 * column + 8 : 90 * column + 60] = scene(row * 4 + column, 42, 52)
    found = agreement(detail(frame), detail(later))
    assert found.score < SAME


def test_a_mirrored_or_turned_picture_is_another() -> None:
    image = scene(6, 300, 300)
    assert agreement(detail(image), detail(image[:, ::-1])).score < SAME
    assert agreement(detail(image), detail(np.rot90(image))).score < SAME


def test_a_sheared_picture_is_no_copy() -> None:
    image = scene(7, 300, 400)
    slanted = cv2.warpAffine(image, np.asarray([[1, 0.08, 0], [0, 1, 0]], np.float32), (400, 300), borderMode=1)
    assert agreement(detail(image), detail(np.asarray(slanted, dtype=np.uint8))).score < SAME


def test_pictures_of_one_colour_agree_with_none() -> None:
    plain = np.full((DETAIL, DETAIL), 90, np.float32)
    assert agreement(plain, plain).score < NEAR
    assert agreement(plain, detail(scene(1))).score < NEAR


def windows_by_hand(small: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Each window cut out at a hundred times the size and averaged over 8 x 8 cells."""
    large = small.astype(np.float64).repeat(100, axis=0).repeat(100, axis=1)
    vectors = []
    for (top, bottom), (left, right) in similar.WINDOWS:
        rows, columns = (np.linspace(low, high, 9) * SIDE * 100 for low, high in ((top, bottom), (left, right)))
        cells = [
            large[round(rows[i]) : round(rows[i + 1]), round(columns[j]) : round(columns[j + 1])].mean()
            for i in range(8)
            for j in range(8)
        ]
        vector = np.asarray(cells) - np.mean(cells)
        vectors.append(vector / np.linalg.norm(vector))
    return np.stack(vectors)


def test_windows_are_what_is_cut_out_by_hand() -> None:
    small = np.stack([grey(scene(seed), SIDE) for seed in range(3)])
    seen = similar.views(small)
    for number in range(3):
        assert np.abs(seen[:, number] - windows_by_hand(small[number])).max() < 2e-3


def brute_force(small: NDArray[np.uint8], split: NDArray[np.int64]) -> set[tuple[int, int]]:
    """The pairs out of the whole matrix: the best `MOST` of each row, in its own split and in others."""
    seen = similar.views(small)
    whole = np.max([np.maximum(seen[0] @ view.T, view @ seen[0].T) for view in seen], axis=0)
    found = set()
    for row in range(len(small)):
        for apart in (False, True):
            others = [c for c in range(len(small)) if c != row and (split[c] != split[row]) == apart]
            others = [c for c in others if whole[row, c] > similar.LIKE]
            for column in sorted(others, key=lambda c: -whole[row, c])[: similar.MOST]:
                found.add((min(row, column), max(row, column)))
    return found


def test_blocks_find_what_the_whole_matrix_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 255, (12, SIDE, SIDE))
    small = (base[rng.integers(0, 12, 90)] + rng.normal(0, 40, (90, SIDE, SIDE))).clip(0, 255).astype(np.uint8)
    split = rng.integers(0, 3, 90)
    expected = brute_force(small, split)
    assert len(expected) > 100
    for block in (1024, 32, 7):
        monkeypatch.setattr(similar, "_BLOCK", block)
        steps: list[int] = []
        assert set(similar.pairs(small, split, steps.append)) == expected
        assert sum(steps) == similar.num_blocks(90)


@pytest.mark.parametrize("block", [1, 1024])
def test_a_cut_copy_is_found_before_or_behind_its_original(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "_BLOCK", block)
    for seed in range(20, 30):
        image = scene(seed, 300, 400)
        pair = [grey(image, SIDE), grey(part(image, 0.1, 0, 1, 0.9), SIDE)]
        for small in (pair, pair[::-1]):
            assert list(similar.pairs(np.stack(small), np.arange(2))) == [(0, 1)], seed
