"""Drawing: sizes, tags inside the picture, the palette, the grid; and what importing the tasks pulls in."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from visionkit.tasks.box_drawing import draw_boxes
from visionkit.tasks.drawing import contrasting, enlarge, shorten, text_width, with_bars, with_legend
from visionkit.tasks.grid import side_by_side
from visionkit.tasks.palette import SIZE, colour, colours

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("shape", "factor"), [((64, 64), 5), ((8, 3), 40), ((320, 20), 1), ((319, 5), 2), ((900, 9), 1)]
)
def test_enlarge(shape: tuple[int, int], factor: int) -> None:
    image = np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)
    large, got = enlarge(image)
    assert got == factor
    np.testing.assert_array_equal(large[::factor, ::factor], image)
    assert not np.shares_memory(large, image)


def test_boxes_lie_where_they_should() -> None:
    """A box of the enlarged picture: its outline on its first and last pixels, nothing beyond the dark rim."""
    drawn = draw_boxes(np.zeros((40, 64, 3), np.uint8), np.array([[20, 16, 50, 32]], np.float32), [""], [RED])
    reds = np.argwhere((drawn == RED).all(-1) & (np.arange(320)[None, :] > 120))
    assert reds[:, 0].min() in (79, 80)
    assert reds[:, 0].max() in (159, 160)
    assert reds[:, 1].max() in (249, 250)
    assert (drawn[100, 100] == RED).all()
    assert (drawn[66:78, 101:106] == RED).all()  # the tag: above, flush left
    assert (drawn[120, 170] == 0).all()


@pytest.mark.parametrize("box", [[0, 0, 30, 30], [300, 0, 320, 20], [290, 290, 320, 320], [0, 300, 9, 320]])
def test_tags_stay_inside(box: list[float]) -> None:
    """At each corner the whole tag is seen: as many coloured pixels as in the middle of the picture."""
    image = np.zeros((320, 320, 3), np.uint8)

    def area(where: list[float]) -> int:
        return int((draw_boxes(image, np.array([where], np.float32), ["name 0.50"], [RED])[..., 0] > 0).sum())

    side = box[2] - box[0], box[3] - box[1]
    inside = area([100, 100, 100 + side[0], 100 + side[1]])
    assert area(box) > 0.75 * inside


def test_tags_of_one_place_do_not_cover_each_other() -> None:
    boxes = np.array([[100, 100, 200, 200]] * 2, np.float32)
    drawn = draw_boxes(np.zeros((320, 320, 3), np.uint8), boxes, ["first", "second"], [RED, BLUE])
    assert (drawn == BLUE).all(-1).sum() > 300  # the second tag is all that is left of the lower box


def test_text() -> None:
    assert shorten("a long class name", 10, 60).endswith("...")
    assert text_width(shorten("a long class name", 10, 60), 10) <= 60
    assert shorten("ok", 10, 60) == "ok"
    assert text_width("é", 12) == text_width("e", 12)
    assert contrasting((240, 228, 66)) == (0, 0, 0)
    assert contrasting((0, 0, 120)) == (255, 255, 255)


def test_strips_wrap_and_widen() -> None:
    image = np.zeros((320, 20, 3), np.uint8)
    one, many = (with_legend(image, [(f"class {i}", RED) for i in range(n)]) for n in (1, 12))
    assert many.shape[0] > one.shape[0] > 320
    assert one.shape[1] >= 200
    assert with_legend(image, []) is image
    full, half = (with_bars(image, [("a", p, RED)]) for p in (1.0, 0.5))
    ratio = (half == RED).all(-1).sum() / (full == RED).all(-1).sum()
    assert ratio == pytest.approx(0.5, abs=0.02)


def test_palette() -> None:
    table = colours()
    assert len(np.unique(table, axis=0)) == len(table) == SIZE
    assert colour(3) == tuple(table[3])
    assert colour(SIZE + 3) == colour(3)
    apart = np.abs(table[:12, None].astype(int) - table[None, :12]).sum(-1) + 999 * np.eye(12, dtype=int)
    assert apart.min() > 60


def test_palette_is_for_red_green_blind_eyes() -> None:
    """What is left of a colour without telling red from green, their mix and blue, still keeps 16 colours apart."""
    value = colours()[:16] / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    left = np.cbrt(np.stack([linear @ [0.3, 0.7, 0], linear[:, 2]], axis=1))
    apart = np.linalg.norm(left[:, None] - left[None], axis=-1) + np.eye(16)
    assert apart.min() > 0.05


def test_grid() -> None:
    groups = [[np.full((40, 80, 3), 10 * i + j, np.uint8) for j in (1, 2)] for i in range(1, 6)]
    page = side_by_side(groups, ("truth", "prediction"), columns=2, cell=100)
    seen = [value for value in range(11, 53) if (page == value).all(-1).sum() == 100 * 50]
    assert seen == [11, 12, 21, 22, 31, 32, 41, 42, 51, 52]
    position = {value: np.argwhere((page == value).all(-1)).min(0) for value in seen}
    assert position[11][0] == position[12][0] == position[21][0] == position[22][0] < position[31][0]
    assert position[11][1] < position[12][1] < position[21][1]
    assert position[31][1] == position[11][1]
    with pytest.raises(ValueError, match="every group must have 2 pictures"):
        side_by_side([[groups[0][0]]], ("truth", "prediction"))
    with pytest.raises(ValueError, match="no pictures"):
        side_by_side([], ())


def test_prediction_imports_nothing_heavy() -> None:
    code = (
        "import sys, visionkit.tasks.classification, visionkit.tasks.segmentation, visionkit.tasks.detection,"
        "visionkit.tasks.grid\n"
        "heavy = 'torchmetrics', 'albumentations', 'lightning', 'torchvision', 'hydra'\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
