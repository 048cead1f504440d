"""Detect objects at every point of a feature pyramid, without anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Final, cast

import torch
from torch import Tensor, nn

from visionkit.losses.contracts import Loss
from visionkit.losses.fcos import PointOutputs
from visionkit.models.blocks import init_convolutions
from visionkit.models.contracts import Head
from visionkit.models.heads.fcos_assign import assign
from visionkit.ops.boxes import boxes_from_distances, clip_boxes, suppress
from visionkit.ops.fixed_suppression import first, survivors
from visionkit.ops.points import cell_centres
from visionkit.types import Boxes, Level, Targets

_GROUP = 8  # channels a group of the normalisation, the paper's 256 / 32
_FIRST_DISTANCE = 3.0  # strides that an untrained network gives a side, so that its boxes overlap with most
_LARGEST_EXPONENT = 8.0  # keeps exp finite in half precision; a box side is 3000 strides away then


DISTANCES: Final = ("exp", "relu")
"""What `distance` may be."""

POINTS: Final = {"centre": 0.5, "corner": 0.0}
"""What `point` may be, and how far from a cell's upper left corner that is, in strides."""


class FCOSHead(Head):
    """Two towers shared by all levels: one for the classes, one for the box and its centerness.

    Tian, Shen, Chen, He: FCOS: Fully Convolutional One-Stage Object Detection (2019), section 3, with the authors'
    later improvements: centre sampling, centerness from the box tower, distances in strides, GIoU.

    `distance` says what the box layer puts out: `exp` of what it computes and of a factor a level, as in the paper, or
    `relu` of it, without such factors, both in strides. `point` is where a cell's point lies: its `centre`, or its
    upper left `corner`. `relu` and `corner` are those of torchvision's published weights.

    `num_convs` is a tower's depth; `prior` the score (0 to 1) that an untrained network gives; `radius` that of
    centre sampling, in strides. Decoding takes the `max_candidates` best points and classes of an image, drops scores
    below `score_threshold`, suppresses overlaps above `nms_iou` within a class and returns `max_detections` at most.

    Raises ValueError for levels of unequal width, and for an unknown `distance` or `point`.
    """

    kind: ClassVar[str] = "boxes"

    def __init__(
        self,
        num_convs: int,
        distance: str,
        point: str,
        prior: float,
        radius: float,
        score_threshold: float,
        nms_iou: float,
        max_candidates: int,
        max_detections: int,
        loss: Loss,
        *,
        levels: Sequence[Level],
        num_classes: int,
    ) -> None:
        super().__init__()
        widths = [level.channels for level in levels]
        channels = widths[0]
        if len(set(widths)) > 1:
            raise ValueError(f"FCOS needs levels of one width but they have {widths} channels; choose neck=fpn")
        if channels % _GROUP:
            raise ValueError(f"FCOS normalises groups of {_GROUP} channels; the levels have {channels}")
        if not 0 < prior < 1:
            raise ValueError(f"prior={prior}; it has to be above 0 and below 1")
        for name, value, known in (("distance", distance, DISTANCES), ("point", point, POINTS)):
            if value not in known:
                raise ValueError(f"head.{name}={value!r} is unknown; choose {' or '.join(known)}")
        self.offset = POINTS[point]
        self.strides = tuple(level.stride for level in levels)
        self.radius = radius
        self.score_threshold = score_threshold
        self.nms_iou = nms_iou
        self.max_candidates = max_candidates
        self.max_detections = max_detections
        self.criterion = loss
        self.class_tower = _tower(channels, num_convs)
        self.box_tower = _tower(channels, num_convs)
        self.class_logits = nn.Conv2d(channels, num_classes, 3, padding=1)
        self.distances = nn.Conv2d(channels, 4, 3, padding=1)
        self.centerness = nn.Conv2d(channels, 1, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(levels))) if distance == "exp" else None
        init_convolutions(self)
        for layer in (self.class_logits, self.distances, self.centerness):
            nn.init.normal_(layer.weight, std=0.01)
        nn.init.constant_(cast(Tensor, self.class_logits.bias), -math.log((1 - prior) / prior))
        nn.init.constant_(
            cast(Tensor, self.distances.bias), math.log(_FIRST_DISTANCE) if distance == "exp" else _FIRST_DISTANCE
        )

    def forward(
        self, features: Sequence[Tensor], image_size: tuple[int, int], targets: Targets | None = None
    ) -> PointOutputs:
        """Return what every point says, level by level."""
        logits, distances, centerness = [], [], []
        for index, (level, stride) in enumerate(zip(features, self.strides, strict=True)):
            of_class, of_box = self.class_tower(level), self.box_tower(level)
            logits.append(_flat(self.class_logits(of_class)))
            reach = _flat(self.distances(of_box)).float()
            if self.scales is None:
                reach = reach.relu()
            else:
                reach = (self.scales[index] * reach).clamp(max=_LARGEST_EXPONENT).exp()
            distances.append(reach * stride)
            centerness.append(_flat(self.centerness(of_box)))
        device = features[0].device
        sizes = [(f.shape[2], f.shape[3]) for f in features]
        points, strides = cell_centres(sizes, self.strides, device, self.offset)
        size = torch.stack([torch.full((), side, dtype=torch.float32, device=device) for side in image_size])
        return PointOutputs(
            torch.cat(logits, 1), torch.cat(distances, 1), torch.cat(centerness, 1)[..., 0], points, strides, size
        )

    def loss(self, outputs: PointOutputs, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of its loss."""
        images = outputs.class_logits.shape[0]
        return self.criterion(outputs, assign(outputs.points, outputs.strides, targets, images, self.radius))

    def decode(self, outputs: PointOutputs) -> Boxes:
        """Return the boxes of every image, clipped to it; a score is sqrt(class probability x centerness)."""
        boxes_BT4, score_BT, label_BT, kept_BT = self._candidates(outputs)
        found = []
        for image, kept in enumerate(kept_BT):
            boxes, score, label = boxes_BT4[image][kept], score_BT[image][kept], label_BT[image][kept]
            best = suppress(boxes, score, label, self.nms_iou, self.max_detections)
            found.append(Boxes(boxes[best], score[best], label[best], torch.full_like(best, image)))
        return Boxes(*(torch.cat(column) for column in zip(*found, strict=True)))

    def detections(self, outputs: PointOutputs) -> Tensor:
        """Return what `decode` does in one shape for any data, as export needs it: (B, max_detections, 6) float32.

        The columns are x1 y1 x2 y2 score label, the best score comes first; rows without a box have the label -1 and
        else 0.
        """
        boxes_BT4, score_BT, label_BT, kept_BT = self._candidates(outputs)
        survives_BT = survivors(boxes_BT4, label_BT, kept_BT, self.nms_iou)
        index_BD, found_BD = first(survives_BT, self.max_detections)
        rows_BT6 = torch.cat([boxes_BT4, score_BT[..., None], label_BT[..., None].to(score_BT)], dim=-1)
        rows_BD6 = rows_BT6.gather(1, index_BD[..., None].expand(-1, -1, 6))
        nothing_6 = rows_BD6.new_tensor([0.0, 0.0, 0.0, 0.0, 0.0, -1.0])
        rows_BD6 = torch.where(found_BD[..., None], rows_BD6, nothing_6)
        lacking = self.max_detections - index_BD.shape[1]  # an image of few points
        if lacking > 0:
            rows_BD6 = torch.cat([rows_BD6, nothing_6.expand(len(rows_BD6), lacking, 6)], dim=1)
        return rows_BD6

    def _candidates(self, outputs: PointOutputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the boxes (B, T, 4), scores, labels of the best points, best first, and which are boxes at all."""
        class_BPK = outputs.class_logits.float().sigmoid()
        score_BPK = (class_BPK * outputs.centerness_logits.float().sigmoid()[..., None]).sqrt()
        num_classes = score_BPK.shape[-1]
        ranked = score_BPK.flatten(1)
        score_BT, index_BT = ranked.topk(min(self.max_candidates, ranked.shape[1]), dim=1)
        point_BT, label_BT = index_BT // num_classes, index_BT % num_classes
        all_BP4 = clip_boxes(boxes_from_distances(outputs.points, outputs.distances.float()), outputs.image_size)
        boxes_BT4 = all_BP4.gather(1, point_BT[..., None].expand(-1, -1, 4))
        solid_BT = (boxes_BT4[..., 2:] > boxes_BT4[..., :2]).all(dim=-1)  # a point in the padding may see nothing
        return boxes_BT4, score_BT, label_BT, solid_BT & (score_BT >= self.score_threshold)


def _tower(channels: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        layers += [conv, nn.GroupNorm(channels // _GROUP, channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _flat(maps: Tensor) -> Tensor:
    """Turn (B, C, H, W) into (B, H W, C)."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)
