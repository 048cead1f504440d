import math

import pytest
import torch

from visionkit.models.heads.fcos_assign import assign
from visionkit.ops.points import cell_centres
from visionkit.types import LABEL_KINDS, Targets

POINTS, STRIDES = cell_centres([(16, 16), (8, 8), (4, 4)], [4, 8, 16], torch.device("cpu"))


def _targets(boxes: list[list[float]], label: list[int], image: list[int], ignore: list[bool] | None = None) -> Targets:
    return Targets(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        box_label=torch.tensor(label, dtype=torch.int64),
        box_image=torch.tensor(image, dtype=torch.int64),
        box_ignore=None if ignore is None else torch.tensor(ignore, dtype=torch.bool),
    )


def _random(images: int, boxes: int) -> Targets:
    g = torch.Generator().manual_seed(0)
    corners = 50 * torch.rand(boxes, 2, generator=g)
    sides = torch.rand(boxes, 2, generator=g) ** 2 * 60
    sides[:3] = 0  # no area
    image = torch.randint(0, images, (boxes,), generator=g).sort().values
    ignore = torch.rand(boxes, generator=g) < 0.2
    found = torch.cat([corners, corners + sides], dim=1).round()
    return Targets(boxes=found, box_label=torch.arange(boxes), box_image=image, box_ignore=ignore)


def _by_loops(targets: Targets, images: int, radius: float) -> tuple[list[list[int]], list[list[bool]]]:
    """The rule, point by point in the words of the docstring; a box's label is its index."""
    labels, counted = [], []
    for b in range(images):
        labels.append([])
        counted.append([])
        for (x, y), s in zip(POINTS.tolist(), STRIDES.tolist(), strict=True):
            best, smallest, void = -1, math.inf, False
            for n, (x1, y1, x2, y2) in enumerate(targets.boxes.tolist()):
                inside = x1 < x < x2 and y1 < y < y2
                if targets.box_image[n] != b or not inside:
                    continue
                if targets.box_ignore[n]:
                    void = True
                    continue
                far = max(x - x1, y - y1, x2 - x, y2 - y)
                low, high = {4: (0, 32), 8: (32, 64), 16: (64, math.inf)}[int(s)]
                central = abs(x - (x1 + x2) / 2) < radius * s and abs(y - (y1 + y2) / 2) < radius * s
                area = (x2 - x1) * (y2 - y1)
                if low < far <= high and central and area < smallest:
                    best, smallest = n, area
            labels[-1].append(best)
            counted[-1].append(best >= 0 or not void)
    return labels, counted


def test_equals_loops_over_points_and_boxes() -> None:
    targets = _random(images=4, boxes=40)
    got = assign(POINTS, STRIDES, targets, 4, 1.5)
    labels, counted = _by_loops(targets, 4, 1.5)
    assert got.label.tolist() == labels
    assert got.counted.tolist() == counted
    assert {int(s) for s in STRIDES[(got.label >= 0).any(0)]} == {4, 8}
    assert 0.02 < (~got.counted).float().mean() < 0.9
    b, p = (got.label >= 0).nonzero()[7].tolist()
    x1, y1, x2, y2 = targets.boxes[got.label[b, p]].tolist()
    x, y = POINTS[p].tolist()
    assert got.distances[b, p].tolist() == pytest.approx([x - x1, y - y1, x2 - x, y2 - y])


def test_sizes_go_to_levels() -> None:
    # The farthest side, seen from near the middle: 10, 40 and more than 64 (in an image twice the size of the grid).
    boxes = [[22.0, 22, 42, 42], [0, 0, 64, 64], [-60, -60, 124, 124]]
    got = assign(POINTS, STRIDES, _targets(boxes, [0, 1, 2], [0, 1, 2]), 3, 1.5)
    assert [set(STRIDES[got.label[b] == b].tolist()) for b in range(3)] == [{4.0}, {8.0}, {16.0}]


def test_the_smallest_box_wins_and_of_equals_the_first() -> None:
    boxes = [[8.0, 8, 32, 32], [12, 12, 28, 28], [12, 12, 28, 28]]
    got = assign(POINTS, STRIDES, _targets(boxes, [5, 6, 7], [0, 0, 0]), 1, 1.5)
    assert set(got.label.unique().tolist()) == {-1, 6}


def test_ignored_boxes_void_their_inside_but_no_object() -> None:
    got = assign(POINTS, STRIDES, _targets([[0, 0, 32, 64], [4, 4, 20, 20]], [0, 1], [0, 0], [True, False]), 1, 1.5)
    inside = POINTS[:, 0] < 32
    assert set(got.label.unique().tolist()) == {-1, 1}
    assert torch.equal(got.counted[0], ~inside | (got.label[0] >= 0))


def test_images_without_box_labels_do_not_count() -> None:
    present = torch.zeros(2, len(LABEL_KINDS), dtype=torch.bool)
    present[0, LABEL_KINDS.index("boxes")] = True
    got = assign(POINTS, STRIDES, _targets([[4, 4, 20, 20]], [0], [0])._replace(present=present), 2, 1.5)
    assert got.counted[0].all()
    assert not got.counted[1].any()


def test_no_boxes_make_everything_background() -> None:
    got = assign(POINTS, STRIDES, _targets([], [], []), 2, 1.5)
    assert got.label.shape == (2, len(POINTS))
    assert (got.label == -1).all()
    assert got.counted.all()


def test_boxes_without_area_are_dropped() -> None:
    got = assign(POINTS, STRIDES, _targets([[6, 6, 6, 20], [30, 30, 20, 20]], [0, 1], [0, 0]), 1, 1.5)
    assert (got.label == -1).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_boxes_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"box 1 of the batch is .*finite pixels"):
        assign(POINTS, STRIDES, _targets([[4, 4, 20, 20], [4, 4, bad, 20]], [0, 0], [0, 0]), 1, 1.5)


def test_targets_without_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="carries no boxes"):
        assign(POINTS, STRIDES, Targets(), 1, 1.5)
