"""Measure detections as COCO does, on flat tensors that any number of processes can concatenate."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

_log = logging.getLogger(__name__)

_STATES = {  # name: shape of one row, dtype
    "image_id": ((), torch.int64),
    "pred_count": ((), torch.int64),
    "pred_boxes": ((4,), torch.float32),
    "pred_score": ((), torch.float32),
    "pred_label": ((), torch.int64),
    "true_count": ((), torch.int64),
    "true_boxes": ((4,), torch.float32),
    "true_label": ((), torch.int64),
    "true_ignore": ((), torch.uint8),
}
_AREAS = {"all": 0, "small": 1, "medium": 2, "large": 3}  # the evaluator's order of object sizes


class CocoMAP(Metric):
    """Computes COCO mean average precision and recall of boxes, by faster-coco-eval.

    Lin et al., "Microsoft COCO: Common Objects in Context", 2014, with the rules of pycocotools: ten IoU
    thresholds from 0.5 to 0.95, 101 recall points, 100 detections an image and class, classes without
    ground truth left out. A value that nothing defines (no object of that size, no ground truth at all)
    is nan. Objects are sized by the area of their box in the pixels handed in, small up to 32^2, large
    from 96^2; COCO itself takes the area of the segment.

    Rows are stored image after image with a count for each visit of an image, so that an image seen twice
    (samplers pad) counts once, whichever process saw it, and no process waits for another's images.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    image_id: list[Tensor]
    pred_count: list[Tensor]
    pred_boxes: list[Tensor]
    pred_score: list[Tensor]
    pred_label: list[Tensor]
    true_count: list[Tensor]
    true_boxes: list[Tensor]
    true_label: list[Tensor]
    true_ignore: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.class_ap_50: dict[int, float] = {}
        """AP at IoU 0.5 of each class that has ground truth; filled by `compute`."""
        for name in _STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all images.

        Every state keeps an empty tensor of its shape and dtype: a process that saw no image would
        otherwise send a float vector where the others send boxes, and all of them would wait for ever.
        """
        super().reset()
        self.class_ap_50 = {}
        for name, (row, dtype) in _STATES.items():
            getattr(self, name).append(torch.empty((0, *row), dtype=dtype, device=self.device))

    def update(
        self,
        pred_boxes: Tensor,
        pred_score: Tensor,
        pred_label: Tensor,
        pred_image: Tensor,
        true_boxes: Tensor,
        true_label: Tensor,
        true_ignore: Tensor,
        true_image: Tensor,
        image_ids: Tensor,
    ) -> None:
        """Add a batch of images, those without boxes too.

        `image_ids` (B,) names the images, unique in the data set; `pred_image` (N,) and `true_image` (M,)
        are indices into it. Boxes are x1 y1 x2 y2 in pixels. `true_ignore` (M,) marks crowds: they may
        take any number of detections, IoU is then the intersection over the detection's area, and neither
        they nor what they take count.

        Raises:
            ValueError: An index points outside `image_ids`, or boxes are not (N, 4).
        """
        for name, boxes in (("pred_boxes", pred_boxes), ("true_boxes", true_boxes)):
            if boxes.ndim != 2 or boxes.shape[1] != 4:
                raise ValueError(f"{name} must have the shape (N, 4), x1 y1 x2 y2; got {tuple(boxes.shape)}")
        pred_order, pred_count = _group(pred_image, len(image_ids), "pred_image")
        true_order, true_count = _group(true_image, len(image_ids), "true_image")
        rows = {
            "image_id": image_ids,
            "pred_count": pred_count,
            "pred_boxes": pred_boxes[pred_order],
            "pred_score": pred_score[pred_order],
            "pred_label": pred_label[pred_order],
            "true_count": true_count,
            "true_boxes": true_boxes[true_order],
            "true_label": true_label[true_order],
            "true_ignore": true_ignore[true_order],
        }
        for name, (_, dtype) in _STATES.items():
            getattr(self, name).append(rows[name].detach().to(dtype))

    def compute(self) -> dict[str, Tensor]:
        """Return mAP, mAP_50, mAP_75, mAP_small, mAP_medium, mAP_large and mAR_100, each 0 to 1 or nan."""
        state = {name: dim_zero_cat(getattr(self, name)).cpu().numpy() for name in _STATES}
        pred_image, pred_rows = _first_visits(state["image_id"], state["pred_count"])
        true_image, true_rows = _first_visits(state["image_id"], state["true_count"])
        classes = np.unique(state["true_label"][true_rows])  # a class without ground truth has no AP
        known = np.isin(state["pred_label"][pred_rows], classes)
        pred_image, pred_rows = pred_image[known], pred_rows[known]

        truth = _annotations(true_image, state["true_boxes"][true_rows], state["true_label"][true_rows])
        for annotation, ignore in zip(truth, state["true_ignore"][true_rows].tolist(), strict=True):
            annotation["iscrowd"] = ignore
        found = _annotations(pred_image, state["pred_boxes"][pred_rows], state["pred_label"][pred_rows])
        for annotation, score in zip(found, state["pred_score"][pred_rows].tolist(), strict=True):
            annotation["score"] = score

        precision_TRKA, recall_TKA = _evaluate(np.unique(state["image_id"]).tolist(), classes.tolist(), truth, found)
        each = [_mean(precision_TRKA[0, :, k, _AREAS["all"]]) for k in range(len(classes))]
        self.class_ap_50 = dict(zip(classes.tolist(), each, strict=True))
        values = {
            "mAP": _mean(precision_TRKA[..., _AREAS["all"]]),
            "mAP_50": _mean(precision_TRKA[0, ..., _AREAS["all"]]),
            "mAP_75": _mean(precision_TRKA[5, ..., _AREAS["all"]]),
            "mAP_small": _mean(precision_TRKA[..., _AREAS["small"]]),
            "mAP_medium": _mean(precision_TRKA[..., _AREAS["medium"]]),
            "mAP_large": _mean(precision_TRKA[..., _AREAS["large"]]),
            "mAR_100": _mean(recall_TKA[..., _AREAS["all"]]),
        }
        return {name: torch.tensor(value, device=self.device) for name, value in values.items()}


def _group(image: Tensor, count: int, name: str) -> tuple[Tensor, Tensor]:
    """Return the order that puts rows image after image, and how many rows each of `count` images has."""
    if len(image) and not 0 <= int(image.min()) <= int(image.max()) < count:
        raise ValueError(
            f"{name} holds {int(image.min())} to {int(image.max())}, but the batch has {count} images: "
            "it must index image_ids, from 0"
        )
    return torch.argsort(image, stable=True), torch.bincount(image, minlength=count)


def _first_visits(image_id: NDArray[np.int64], count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return image id and row number of every row of an image's first visit.

    Equal scores fall in the evaluator's order: images by id, then rows as they came. So the result does not
    depend on how images were spread over processes.
    """
    first = np.zeros(len(image_id), dtype=bool)
    first[np.unique(image_id, return_index=True)[1]] = True
    visit = np.repeat(np.arange(len(image_id)), count)
    rows = np.flatnonzero(first[visit])
    return image_id[visit[rows]], rows


def _annotations(
    image: NDArray[np.int64], boxes_N4: NDArray[np.float32], label: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Return COCO annotations; ids start at 1, because the evaluator takes a match with id 0 for none."""
    corner_N2 = boxes_N4[:, :2].astype(np.float64)
    size_N2 = boxes_N4[:, 2:] - corner_N2
    bbox = np.concatenate([corner_N2, size_N2], axis=1).tolist()
    columns = zip(image.tolist(), bbox, size_N2.prod(axis=1).tolist(), label.tolist(), strict=True)
    return [
        {"id": i, "image_id": image_id, "bbox": box, "area": area, "category_id": category, "iscrowd": 0}
        for i, (image_id, box, area, category) in enumerate(columns, start=1)
    ]


def _evaluate(
    images: list[int], classes: list[int], truth: list[dict[str, Any]], found: list[dict[str, Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision (T, R, K, A) and recall (T, K, A) at 100 detections; -1 where nothing defines them."""
    if not classes:
        return np.full((10, 101, 0, 4), -1.0), np.full((10, 0, 4), -1.0)
    from faster_coco_eval import COCO
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    sets = {"images": [{"id": i} for i in images], "categories": [{"id": k, "name": str(k)} for k in classes]}
    evaluator = COCOeval_faster(
        COCO({**sets, "annotations": truth}),
        COCO({**sets, "annotations": found}),
        iouType="bbox",
        print_function=_log.debug,
    )
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator.eval["precision"][..., -1], evaluator.eval["recall"][..., -1]


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of what is defined, nan if nothing is."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else float("nan")
