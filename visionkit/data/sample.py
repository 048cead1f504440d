"""Read one sample out of records, place it at the network's size, and put samples together to a batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.geometry import Fit
from visionkit.data.pixels import Pixels, path_of
from visionkit.data.records import Records
from visionkit.errors import DataError
from visionkit.types import IGNORE_INDEX, LABEL_KINDS, Batch, Image, Targets

KINDS: Final = (*LABEL_KINDS, "instances")
"""What can be asked for; `instances` brings one mask a box and comes with `boxes`."""


class Sample(NamedTuple):
    """One image with the labels asked for, between decoding and collating. A kind not asked for is None."""

    image: Image
    id: int  # its index in the records
    size: tuple[int, int]  # height and width as decoded
    present: NDArray[np.bool_]  # (len(LABEL_KINDS),)
    label: int | None = None
    multilabel: NDArray[np.uint8] | None = None  # (K,)
    mask: NDArray[np.uint8] | None = None  # (H, W)
    boxes: NDArray[np.float32] | None = None  # (n, 4)
    box_label: NDArray[np.int64] | None = None  # (n,)
    box_ignore: NDArray[np.bool_] | None = None  # (n,)
    box_value: NDArray[np.int64] | None = None  # (n,) which value of `instances` marks the box's pixels
    instances: NDArray[Any] | None = None  # (H, W), 0 = none

    def keep_boxes(self, keep: NDArray[Any]) -> Sample:
        """Return the sample with the boxes that `keep` (indices or booleans) selects."""
        fields = ("boxes", "box_label", "box_ignore", "box_value")
        return self._replace(**{name: getattr(self, name)[keep] for name in fields})


def read_sample(records: Records, index: int, kinds: Collection[str]) -> Sample:
    """Decode sample `index` with the labels of `kinds` (entries of `KINDS`).

    Boxes are clipped to the image; what lies outside altogether is left out. A sample that carries no mask gets one of
    255. The instance map is read along with boxes where there is one.

    Raises:
        DataError: A file cannot be used, or the mask's size is not the image's.
    """
    image = np.asarray(records.images[index])
    height, width = image.shape[:2]
    sample = Sample(image, index, (height, width), records.present[index])
    if "labels" in kinds and records.labels is not None:
        sample = sample._replace(label=int(records.labels[index]))
    if "multilabel" in kinds and records.multilabel is not None:
        sample = sample._replace(multilabel=records.multilabel[index])
    if "mask" in kinds and records.masks is not None:
        if records.present[index, LABEL_KINDS.index("mask")]:
            mask = np.asarray(records.masks[index])
            _same_size(records, records.masks, index, mask, image)
        else:
            mask = np.full((height, width), IGNORE_INDEX, dtype=np.uint8)
        sample = sample._replace(mask=mask)
    if not {"boxes", "instances"}.isdisjoint(kinds) and records.boxes is not None:
        assert records.box_start is not None
        assert records.box_label is not None
        assert records.box_ignore is not None
        rows = slice(int(records.box_start[index]), int(records.box_start[index + 1]))
        boxes = np.clip(records.boxes[rows], 0, np.asarray([width, height] * 2, dtype=np.float32))
        sample = sample._replace(
            boxes=boxes,
            box_label=records.box_label[rows],
            box_ignore=records.box_ignore[rows],
            box_value=np.arange(1, len(boxes) + 1),
        ).keep_boxes(np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1)))
        if records.instances is not None:
            instances = np.asarray(records.instances[index])
            _same_size(records, records.instances, index, instances, image)
            sample = sample._replace(instances=instances)
    return sample


def _same_size(records: Records, source: Pixels, index: int, mask: NDArray[Any], image: Image) -> None:
    if mask.shape != image.shape[:2]:
        name = path_of(source, index) or f"the mask of sample {index}"
        raise DataError(
            f"{name}: is {mask.shape[0]} x {mask.shape[1]} pixels (height x width), but its image "
            f"{records.names[index]} is {image.shape[0]} x {image.shape[1]}; they must be equal"
        )


def place_sample(sample: Sample, fit: Fit) -> Sample:
    """Return the sample at the network's size."""
    placement = fit.place(*sample.image.shape[:2])
    return sample._replace(
        image=placement.image(sample.image),
        mask=None if sample.mask is None else placement.mask(sample.mask),
        boxes=None if sample.boxes is None else placement.boxes(sample.boxes),
        instances=None if sample.instances is None else placement.mask(sample.instances, fill=0),
    )


class Collate:
    """Puts samples of one size together to a Batch; `instances` says whether it carries a mask a box."""

    def __init__(self, instances: bool = False) -> None:
        self.instances = instances

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Return contiguous uint8 images (B, C, H, W) and flat targets."""
        pictures = np.stack([sample.image for sample in samples])
        return Batch(
            images=torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))),
            targets=self._targets(samples),
            ids=torch.tensor([sample.id for sample in samples]),
            sizes=torch.tensor([sample.size for sample in samples]),
        )

    def _targets(self, samples: Sequence[Sample]) -> Targets:
        targets = Targets(present=_stack([sample.present for sample in samples]))
        if samples[0].label is not None:
            targets = targets._replace(labels=torch.tensor([sample.label for sample in samples]))
        if samples[0].multilabel is not None:
            targets = targets._replace(multilabel=_stack([sample.multilabel for sample in samples]).float())
        if samples[0].mask is not None:
            targets = targets._replace(mask=_stack([sample.mask for sample in samples]))
        if samples[0].boxes is not None:
            counts = [len(sample.boxes) for sample in samples if sample.boxes is not None]
            targets = targets._replace(
                boxes=_join([sample.boxes for sample in samples]),
                box_label=_join([sample.box_label for sample in samples]),
                box_ignore=_join([sample.box_ignore for sample in samples]),
                box_image=torch.repeat_interleave(torch.arange(len(samples)), torch.tensor(counts)),
            )
        if self.instances:
            targets = targets._replace(instance_masks=_join([_instance_masks(sample) for sample in samples]))
        return targets


def _instance_masks(sample: Sample) -> NDArray[np.bool_]:
    if sample.instances is None or sample.box_value is None:
        raise ValueError(f"sample {sample.id} has no instance map")
    return np.asarray(sample.instances[None] == sample.box_value[:, None, None])


def _stack(arrays: Sequence[NDArray[Any] | None]) -> Tensor:
    return torch.from_numpy(np.stack([array for array in arrays if array is not None]))


def _join(arrays: Sequence[NDArray[Any] | None]) -> Tensor:
    return torch.from_numpy(np.concatenate([array for array in arrays if array is not None]))
