"""Boxes land where they should under every family: features stand where FCOS's cells are, and its boxes come back."""

from __future__ import annotations

import pytest
import torch

from tests.models.backbone_checks import SMALLEST
from visionkit.ops.points import cell_centres

SIDE, SQUARE = 192, 32  # pixels
CORNERS = ((80, 80), (88, 72), (64, 96), (101, 87))  # x, y: of any phase in a stride

# In strides. Half a stride comes with padding as ResNet has it: the strided 3x3 window of cell i is centred at
# pixel i * stride, not in the middle of the cell. The rest is what random weights make of a square's outline.
NEAR = 0.65
# Windows that tile the image are centred in their cells.
TILED = {"vgg11": 0.3, "convnext_tiny": 0.1}


@pytest.mark.parametrize("option", SMALLEST)
def test_a_square_answers_in_the_cells_over_it(option, build) -> None:
    body = build(option, "fcos", "fpn").backbone.eval()
    dark = torch.full((1, 3, SIDE, SIDE), -1.0)
    offsets = []
    with torch.no_grad():
        before = body(dark)
        for x, y in CORNERS:
            bright = dark.clone()
            bright[..., y : y + SQUARE, x : x + SQUARE] = 1.0
            middle = torch.tensor([x + SQUARE / 2, y + SQUARE / 2])
            maps = zip(body(bright), before, [level.stride for level in body.levels], strict=False)
            offsets.append(torch.stack([(_centre(with_it - b, step) - middle) / step for with_it, b, step in maps]))
    found = torch.stack(offsets).mean(0)
    assert found.abs().max() < TILED.get(option, NEAR), found


def _centre(difference: torch.Tensor, stride: int) -> torch.Tensor:
    """Return x and y, in pixels, of the middle of the cells that answer at least half as much as the best does."""
    answer = difference.abs().sum(1).flatten()
    weight = torch.where(answer >= answer.max() / 2, answer, 0)
    points, _ = cell_centres([tuple(difference.shape[2:])], [stride], torch.device("cpu"))
    return (points * weight[:, None]).sum(0) / weight.sum()


@pytest.mark.parametrize("option", SMALLEST)
def test_boxes_said_at_their_cells_come_back(option, build) -> None:
    network = build(option, "fcos", "fpn").eval()
    head = network.heads["only"]
    with torch.no_grad():
        outputs = network(torch.zeros(1, 3, 107, 150, dtype=torch.uint8))["only"]
    boxes = torch.tensor([[8.0, 11.0, 40.0, 30.0], [60.0, 20.0, 150.0, 107.0], [90.0, 60.0, 98.0, 70.0]])
    logits, distances = torch.full_like(outputs.class_logits, -20.0), torch.ones_like(outputs.distances)
    told = set()
    for index, box in enumerate(boxes):
        middle = (box[:2] + box[2:]) / 2
        for stride in outputs.strides.unique():
            # At each level the cell that the box's middle lies in says the box.
            offset = (outputs.points - middle).abs().amax(1).masked_fill(outputs.strides != stride, torch.inf)
            point = int(offset.argmin())
            assert offset[point] <= stride / 2
            x, y = outputs.points[point]
            if point not in told:
                told.add(point)
                logits[0, point, index] = 20.0
                distances[0, point] = torch.stack([x - box[0], y - box[1], box[2] - x, box[3] - y])
    outputs = outputs._replace(
        class_logits=logits, distances=distances, centerness_logits=torch.full_like(outputs.centerness_logits, 20.0)
    )
    found = head.decode(outputs)
    order = found.label.argsort()
    torch.testing.assert_close(found.boxes[order], boxes)
    assert found.label[order].tolist() == [0, 1, 2]
