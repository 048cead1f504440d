import torch
from torchvision.ops import box_iou

from visionkit.ops.boxes import box_area, boxes_from_distances, clip_boxes, suppress


def test_area_of_a_box_and_of_one_turned_inside_out() -> None:
    assert box_area(torch.tensor([[1.0, 2, 4, 7], [4, 2, 1, 7], [4, 7, 1, 2]])).tolist() == [15, 0, 0]


def test_distances_reach_left_top_right_bottom() -> None:
    boxes = boxes_from_distances(torch.tensor([[10.0, 20]]), torch.tensor([[1.0, 2, 3, 4]]))
    assert boxes.tolist() == [[9, 18, 13, 24]]


def test_clips_to_height_and_width() -> None:
    boxes = clip_boxes(torch.tensor([[-5.0, -6, 50, 60], [1, 2, 3, 4]]), torch.tensor([40.0, 30.0]))
    assert boxes.tolist() == [[0, 0, 30, 40], [1, 2, 3, 4]]


def _greedy(boxes: torch.Tensor, score: torch.Tensor, label: torch.Tensor, iou: float) -> list[int]:
    kept: list[int] = []
    for i in score.argsort(descending=True).tolist():
        rivals = [j for j in kept if label[j] == label[i]]
        if all(box_iou(boxes[i : i + 1], boxes[j : j + 1]).item() <= iou for j in rivals):
            kept.append(i)
    return kept


def test_suppression_is_greedy_within_a_class() -> None:
    g = torch.Generator().manual_seed(0)
    corners = 20 * torch.rand(80, 2, generator=g)
    boxes = torch.cat([corners, corners + 5 + 10 * torch.rand(80, 2, generator=g)], dim=1)
    score, label = torch.rand(80, generator=g), torch.randint(0, 3, (80,), generator=g)
    expected = _greedy(boxes, score, label, 0.4)
    assert 3 < len(expected) < 60
    assert suppress(boxes, score, label, 0.4, 100).tolist() == expected
    assert suppress(boxes, score, label, 0.4, 3).tolist() == expected[:3]


def test_suppression_is_exact_for_many_classes() -> None:
    # The same pair in class 90,000 as in class 0: shifted in float32, the two would overlap by exactly half.
    boxes = torch.tensor([[0.0, 0, 100, 100], [0, 0, 100, 50.003], [900, 900, 1000, 1000]])
    for name in (0, 90_000):
        kept = suppress(boxes, torch.tensor([0.9, 0.8, 0.1]), torch.full((3,), name), 0.5, 100)
        assert kept.tolist() == [0, 2]


def test_nothing_to_suppress() -> None:
    empty = suppress(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), 0.5, 100)
    assert empty.shape == (0,)
    assert empty.dtype == torch.int64
