import torch

from visionkit.ops.boxes import suppress
from visionkit.ops.fixed_suppression import first, survivors


def crowd(seed: int, images: int = 2, number: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Many overlapping boxes of two classes, best first, a tenth of them invalid."""
    g = torch.Generator().manual_seed(seed)
    corners = 30 * torch.rand(images, number, 2, generator=g)
    boxes = torch.cat([corners, corners + 8 + 12 * torch.rand(images, number, 2, generator=g)], dim=2)
    return boxes, torch.randint(0, 2, (images, number), generator=g), torch.rand(images, number, generator=g) > 0.1


def test_gives_what_the_sequential_suppression_gives() -> None:
    score = torch.linspace(1, 0.1, 200)
    for seed in range(20):
        boxes, label, valid = crowd(seed)
        iou = 0.2 + 0.03 * seed
        keep = survivors(boxes, label, valid, iou)
        for image in range(2):
            (rows,) = valid[image].nonzero(as_tuple=True)
            expected = rows[suppress(boxes[image][rows], score[rows], label[image][rows], iou, 200)]
            assert keep[image].nonzero()[:, 0].tolist() == expected.tolist()
            assert 1 < len(expected) < len(rows)


def test_a_suppressed_box_suppresses_nothing() -> None:
    # Each overlaps the next by 6 of 14 columns, and no other: they fall and stand by turns, whatever the length.
    left = 4.0 * torch.arange(9)
    boxes = torch.stack([left, torch.zeros(9), left + 10, torch.full((9,), 10.0)], dim=1)[None]
    label, valid = torch.zeros(1, 9, dtype=torch.long), torch.ones(1, 9, dtype=torch.bool)
    assert survivors(boxes, label, valid, 0.4).tolist() == [[True, False] * 4 + [True]]
    assert survivors(boxes, torch.arange(9)[None], valid, 0.4).all()
    assert survivors(boxes, label, valid, 6 / 14 + 0.001).all()


def test_what_is_no_box_suppresses_nothing() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 10], [3, 3, 3, 3]]])
    label = torch.zeros(1, 3, dtype=torch.long)
    assert survivors(boxes, label, torch.tensor([[False, True, False]]), 0.5).tolist() == [[False, True, False]]
    assert not survivors(boxes, label, torch.zeros(1, 3, dtype=torch.bool), 0.5).any()


def test_first_places() -> None:
    keep = torch.tensor([[False, True, False, True, True], [False, False, False, False, True], [False] * 5])
    index, there = first(keep, 2)
    assert there.tolist() == [[True, True], [True, False], [False, False]]
    assert index[there].tolist() == [1, 3, 4]
    index, there = first(keep, 9)
    assert index.shape == (3, 5)
    assert index[there].tolist() == [1, 3, 4, 4]
