"""Read one sample out of records and place it at the network's size."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.data.geometry import Placement
from visionkit.data.pixels import Pixels, in_memory, path_of
from visionkit.data.records import Records
from visionkit.errors import DataError
from visionkit.types import IGNORE_INDEX, LABEL_KINDS, Image

KINDS: Final = (*LABEL_KINDS, "instances")
"""What can be asked for; `instances` brings one mask a box and comes with `boxes`."""


ReadMask = Callable[[Pixels, "Sample", int], NDArray[Any]]
"""Returns a mask of a sample out of some pixels; the number is the value for what is outside."""


class Sample(NamedTuple):
    """One image with the labels asked for, between decoding and collating. A kind not asked for is None."""

    image: Image
    id: int  # its index in the records
    size: tuple[int, int]  # height and width as decoded
    present: NDArray[np.bool_]  # (len(LABEL_KINDS),)
    label: int | None = None
    multilabel: NDArray[Any] | None = None  # (K,) uint8, or float32 where two samples were mixed
    mask: NDArray[np.uint8] | None = None  # (H, W)
    boxes: NDArray[np.float32] | None = None  # (n, 4)
    box_label: NDArray[np.int64] | None = None  # (n,)
    box_ignore: NDArray[np.bool_] | None = None  # (n,)
    box_value: NDArray[np.int64] | None = None  # (n,) which value of `instances` marks the box's pixels
    instances: NDArray[Any] | None = None  # (H, W), 0 = none
    mixed_label: int | None = None  # of the sample that is mixed in; where samples may be mixed, its own without one
    mix: float = 0.0  # the share of that sample

    def keep_boxes(self, keep: NDArray[Any]) -> Sample:
        """Return the sample with the boxes that `keep` (indices or booleans) selects."""
        fields = ("boxes", "box_label", "box_ignore", "box_value")
        return self._replace(**{name: getattr(self, name)[keep] for name in fields})


def read_sample(records: Records, index: int, kinds: Collection[str]) -> Sample:
    """Decode sample `index` with the labels of `kinds` (entries of `KINDS`), as `label_sample` adds them.

    Raises:
        DataError: A file cannot be used, or the mask's size is not the image's.
    """
    image = np.asarray(records.images[index])
    bare = Sample(image, index, (image.shape[0], image.shape[1]), records.present[index])
    return label_sample(bare, records, kinds)


def label_sample(sample: Sample, records: Records, kinds: Collection[str], read: ReadMask | None = None) -> Sample:
    """Return a sample that has but an image with its labels of `kinds`, in pixels of `sample.size`.

    `read` reads masks and instance maps, which by default are checked against that size.
    Boxes are clipped to the image; what lies outside altogether is left out. A sample that carries no mask gets one of
    255. An instance map that is in memory is read along with boxes, which it keeps tight; one in files, or to be drawn,
    costs more than that is worth and is read for `instances` only.

    Raises:
        DataError: A file cannot be used, or the mask's size is not the image's.
    """
    index, (height, width) = sample.id, sample.size
    read = read or partial(read_mask, records)
    if "labels" in kinds and records.labels is not None:
        sample = sample._replace(label=int(records.labels[index]))
    if "multilabel" in kinds and records.multilabel is not None:
        sample = sample._replace(multilabel=records.multilabel[index])
    if "mask" in kinds and records.masks is not None:
        if records.present[index, LABEL_KINDS.index("mask")]:
            mask = read(records.masks, sample, IGNORE_INDEX)
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
        if records.instances is not None and ("instances" in kinds or in_memory(records.instances)):
            sample = sample._replace(instances=read(records.instances, sample, 0))
    return sample


def read_mask(records: Records, source: Pixels, sample: Sample, fill: int = IGNORE_INDEX) -> NDArray[Any]:
    """Return a mask or an instance map of a sample. Raises DataError when its size is not that of the image."""
    mask = np.asarray(source[sample.id])
    if mask.shape != sample.size:
        name = path_of(source, sample.id) or f"the mask of sample {sample.id}"
        raise DataError(
            f"{name}: is {mask.shape[0]} x {mask.shape[1]} pixels (height x width), but its image "
            f"{records.names[sample.id]} is {sample.size[0]} x {sample.size[1]}; they must be equal"
        )
    return mask


def place_sample(sample: Sample, placement: Placement, reduced: int = 1) -> Sample:
    """Return the sample where the placement brings it, boxes not clipped; `reduced` as in `Placement.image`."""
    return sample._replace(
        image=placement.image(sample.image, reduced),
        mask=None if sample.mask is None else placement.mask(sample.mask),
        boxes=None if sample.boxes is None else placement.boxes(sample.boxes),
        instances=None if sample.instances is None else placement.mask(sample.instances, fill=0),
    )
