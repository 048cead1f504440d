"""Put several training samples together to one: a mosaic of four, or one mixed into another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.data.sample import Sample

CENTRE: Final = (0.3, 0.7)
"""Where the four images of a mosaic meet, in shares of the height and of the width."""

MIXUP: Final = 0.2
"""Of Beta(a, a), out of which the share of the second image is drawn (Zhang et al. take 0.1 to 0.4)."""

CUTMIX: Final = 1.0
"""The same for the area that is cut out; 1 makes every share as likely as any other (Yun et al.)."""


def quarters(rng: np.random.Generator, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Draw the four rectangles (top, left, height, width) of a mosaic of (height, width), by rows."""
    y, x = (min(side - 1, max(1, round(side * rng.uniform(*CENTRE)))) for side in size)
    rows, columns = ((0, y), (y, size[0] - y)), ((0, x), (x, size[1] - x))
    return [(top, left, height, width) for top, height in rows for left, width in columns]


def mosaic(samples: Sequence[Sample], places: Sequence[tuple[int, int, int, int]]) -> Sample:
    """Return one sample with the image, the mask, the boxes and the instance map of all, each at its place.

    After Bochkovskiy et al.: YOLOv4 (2020), section 3.3; here each image is brought to the size of its place, where the
    paper cuts the four out of a larger picture. The rest is the first sample's.
    """
    first = samples[0]
    size = (places[-1][0] + places[-1][2], places[-1][1] + places[-1][3])
    boxed = first.boxes is not None
    offset = np.cumsum([0, *(int(s.box_value.max(initial=0)) if s.box_value is not None else 0 for s in samples)])

    def paste(name: str, dtype: Any) -> NDArray[Any] | None:
        parts = [getattr(sample, name) for sample in samples]
        if parts[0] is None:
            return None
        canvas = np.empty((*size, *parts[0].shape[2:]), dtype=dtype)
        for part, (top, left, height, width) in zip(parts, places, strict=True):
            canvas[top : top + height, left : left + width] = part
        return canvas

    def joined(name: str) -> Any:
        return np.concatenate([getattr(sample, name) for sample in samples]) if boxed else None

    boxes = None
    if boxed:
        corners = [np.asarray([left, top] * 2, dtype=np.float32) for top, left, _, _ in places]
        boxes = np.concatenate([s.boxes + c for s, c in zip(samples, corners, strict=True) if s.boxes is not None])
        numbered = zip(samples, offset[:-1].tolist(), strict=True)
        samples = [_renumbered(sample, by) for sample, by in numbered]
    image = paste("image", np.uint8)
    assert image is not None
    return first._replace(
        image=image,
        mask=paste("mask", np.uint8),
        boxes=boxes,
        box_label=joined("box_label"),
        box_ignore=joined("box_ignore"),
        box_value=joined("box_value"),
        instances=paste("instances", np.uint8 if offset[-1] < 255 else np.uint16),
    )


def _renumbered(sample: Sample, by: int) -> Sample:
    """Return the sample with the values of its instances raised, other than 0."""
    assert sample.box_value is not None
    instances = sample.instances
    if instances is not None:
        instances = np.where(np.isin(instances, sample.box_value), instances.astype(np.uint16) + by, 0)
    return sample._replace(box_value=sample.box_value + by, instances=instances)


def mixup(sample: Sample, other: Sample, share: float) -> Sample:
    """Return the sample with another shining through by `share` (Zhang et al.: mixup, 2018)."""
    mean = np.asarray(cv2.addWeighted(sample.image, 1 - share, other.image, share, 0), dtype=np.uint8)
    return _mixed(sample._replace(image=mean.reshape(sample.image.shape)), other, share)


def cutmix(rng: np.random.Generator, sample: Sample, other: Sample, share: float) -> Sample:
    """Return the sample with a part of another in the same place of it, about `share` of the area.

    After Yun et al.: CutMix (2019): the rectangle has the image's aspect and its centre anywhere in it; it is cut at
    the edges, and the share that counts is that of the pixels put in.
    """
    height, width = sample.image.shape[:2]
    bounds = []
    for side in (height, width):
        part, centre = side * share**0.5, rng.uniform(0, side)
        bounds.append(slice(max(0, round(centre - part / 2)), min(side, round(centre + part / 2))))
    image = sample.image.copy()
    image[bounds[0], bounds[1]] = other.image[bounds[0], bounds[1]]
    pixels = (bounds[0].stop - bounds[0].start) * (bounds[1].stop - bounds[1].start)
    return _mixed(sample._replace(image=image), other, pixels / (height * width))


def _mixed(sample: Sample, other: Sample, share: float) -> Sample:
    labels = sample.multilabel
    if labels is not None and other.multilabel is not None:
        labels = ((1 - share) * labels + share * other.multilabel).astype(np.float32)
    return sample._replace(mixed_label=other.label, mix=share, multilabel=labels)
