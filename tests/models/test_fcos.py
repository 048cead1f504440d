import pytest
import torch

from visionkit.losses.fcos import FCOSLoss, PointOutputs
from visionkit.models.heads.fcos import FCOSHead
from visionkit.ops.points import cell_centres
from visionkit.types import Level

LEVELS = (Level(16, 4), Level(16, 8))


def _head(levels: tuple[Level, ...] = LEVELS, **changed: float | str) -> FCOSHead:
    settings: dict[str, float | str] = {"num_convs": 1, "distance": "exp", "point": "centre", "prior": 0.05}
    settings |= {"radius": 1.5, "score_threshold": 0.05, "nms_iou": 0.5}
    settings |= {"max_candidates": 50, "max_detections": 10, **changed}
    return FCOSHead(**settings, loss=FCOSLoss(), levels=levels, num_classes=3)  # type: ignore[arg-type]


def _outputs(images: int = 2) -> PointOutputs:
    """Say nothing anywhere, in images of 30 x 32 pixels."""
    points, strides = cell_centres([(8, 8), (4, 4)], [4, 8], torch.device("cpu"))
    silence = torch.full((images, len(points), 3), -20.0)
    size = torch.tensor([30.0, 32.0])
    return PointOutputs(
        silence, torch.ones(images, len(points), 4), torch.zeros(images, len(points)), points, strides, size
    )


def test_one_point_speaks_and_gives_one_box() -> None:
    outputs = _outputs()
    outputs.class_logits[1, 9, 2] = 4.0  # row 1, column 1 of the fine map: the point (6, 6)
    outputs.centerness_logits[1, 9] = 1.0
    outputs.distances[1, 9] = torch.tensor([2.0, 3, 4, 5])
    found = _head().decode(outputs)
    assert found.boxes.tolist() == [[4, 3, 10, 11]]
    expected = (torch.tensor(4.0).sigmoid() * torch.tensor(1.0).sigmoid()).sqrt()
    assert found.score.tolist() == pytest.approx([expected.item()])
    assert (found.label.tolist(), found.image.tolist()) == ([2], [1])


def test_boxes_are_clipped_to_the_image() -> None:
    outputs = _outputs(1)
    outputs.class_logits[0, 0, 0] = 4.0
    outputs.distances[0, 0] = 100.0
    assert _head().decode(outputs).boxes.tolist() == [[0, 0, 32, 30]]


def test_boxes_outside_of_the_image_are_dropped() -> None:
    outputs = _outputs(1)
    outputs.class_logits[0, 63, 0] = 4.0  # the point (30, 30), on the border
    outputs.distances[0, 63] = torch.tensor([1.0, 0, 1, 1])
    assert len(_head().decode(outputs).boxes) == 0


def test_images_and_classes_do_not_suppress_each_other() -> None:
    outputs = _outputs(2)
    outputs.distances[:] = 10.0
    outputs.class_logits[:, 27, :2] = torch.tensor([4.0, 3.0])
    outputs.class_logits[:, 28, :2] = torch.tensor([3.0, 2.0])  # beside it, nearly the same box
    found = _head().decode(outputs)
    assert found.image.tolist() == [0, 0, 1, 1]
    assert found.label.tolist() == [0, 1, 0, 1]
    assert (found.score[0] > found.score[1]).item()


def test_limits_and_threshold() -> None:
    g = torch.Generator().manual_seed(0)
    outputs = _outputs(2)._replace(class_logits=torch.randn(2, 80, 3, generator=g))
    every = _head(max_candidates=1000, max_detections=1000, score_threshold=0.0).decode(outputs)
    assert len(every.boxes) == 2 * 80 * 3  # boxes of 2 x 2 pixels do not overlap, nor do classes
    best = _head(max_detections=5).decode(outputs)
    for image in range(2):
        scores = every.score[every.image == image]
        assert (scores.diff() <= 0).all()
        assert best.score[best.image == image].tolist() == scores[:5].tolist()
        assert len(_head(max_candidates=7).decode(outputs).boxes) == 14
    assert (_head(score_threshold=0.6, max_detections=1000).decode(outputs).score >= 0.6).all()


def test_detections_are_what_decoding_gives_filled_up_to_one_shape() -> None:
    g = torch.Generator().manual_seed(0)
    outputs = _outputs(3)._replace(
        class_logits=3 * torch.randn(3, 80, 3, generator=g) - 2, distances=1 + 12 * torch.rand(3, 80, 4, generator=g)
    )
    outputs.class_logits[1] = -20.0  # nothing in the second image
    for limits in ({"max_detections": 100}, {"max_detections": 4}, {"max_candidates": 5, "max_detections": 20}):
        head = _head(**{"max_candidates": 200, **limits})
        expected, rows = head.decode(outputs), head.detections(outputs)
        assert rows.shape == (3, limits["max_detections"], 6)
        there = rows[..., 5] >= 0
        assert (there.int().diff(dim=1) <= 0).all()  # what is empty comes last
        assert there.sum(1).tolist() == expected.image.bincount(minlength=3).tolist()
        assert (rows[~there] == torch.tensor([0.0, 0, 0, 0, 0, -1])).all()
        assert torch.equal(rows[there][:, :4], expected.boxes)
        assert torch.equal(rows[there][:, 4], expected.score)
        assert torch.equal(rows[there][:, 5], expected.label.float())
    crowded = _head(max_candidates=200, max_detections=200, nms_iou=1.0).decode(outputs)
    assert len(crowded.boxes) > 1.5 * len(_head(max_candidates=200, max_detections=200).decode(outputs).boxes)


def test_an_untrained_head_gives_the_prior_and_boxes_of_three_strides() -> None:
    torch.manual_seed(0)
    outputs = _head(prior=0.2)([torch.randn(2, 16, 8, 8), torch.randn(2, 16, 4, 4)], (32, 32))
    assert outputs.class_logits.sigmoid().mean().item() == pytest.approx(0.2, abs=0.03)
    ratio = outputs.distances / outputs.strides[:, None]
    assert ratio.mean().item() == pytest.approx(3, abs=0.5)


def test_points_are_in_the_order_of_the_maps() -> None:
    head = _head()
    fine, coarse = torch.randn(1, 16, 3, 5), torch.randn(1, 16, 2, 3)
    outputs = head([fine, coarse], (10, 20))
    cell = head.class_logits(head.class_tower(fine))[0, :, 2, 1]  # the point ((1 + 1/2) 4, (2 + 1/2) 4)
    index = outputs.points.tolist().index([6, 10])
    torch.testing.assert_close(outputs.class_logits[0, index], cell)
    assert outputs.image_size.tolist() == [10, 20]


def test_bad_input_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"\[16, 32\] channels; choose neck=fpn"):
        _head((Level(16, 4), Level(32, 8)))
    with pytest.raises(ValueError, match="groups of 8 channels; the levels have 12"):
        _head((Level(12, 4),))
    with pytest.raises(ValueError, match="prior=0"):
        _head(prior=0)


def test_relu_and_corner_are_torchvisions_distances_and_points() -> None:
    torch.manual_seed(0)
    head = _head(distance="relu", point="corner")
    assert head.scales is None
    fine, coarse = torch.randn(1, 16, 3, 5), torch.randn(1, 16, 2, 3)
    outputs = head([fine, coarse], (10, 20))
    cell = head.distances(head.box_tower(coarse))[0, :, 1, 2]  # the point (2 x 8, 1 x 8)
    torch.testing.assert_close(outputs.distances[0, 15 + 5], cell.relu() * 8)
    assert outputs.points[20].tolist() == [16, 8]
    assert (outputs.distances / outputs.strides[:, None]).mean().item() == pytest.approx(3, abs=0.5)
    with pytest.raises(ValueError, match=r"head\.distance='softplus' is unknown; choose exp or relu"):
        _head(distance="softplus")
    with pytest.raises(ValueError, match=r"head\.point='center' is unknown; choose centre or corner"):
        _head(point="center")
