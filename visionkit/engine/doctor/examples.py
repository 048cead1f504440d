"""Draw examples of what was found: the picture, small, with what is wrong marked on it."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from visionkit.data.pixels import Pixels
from visionkit.engine.doctor.codes import Finding
from visionkit.engine.doctor.pool import Splits
from visionkit.errors import DataError
from visionkit.tasks.box_drawing import draw_boxes
from visionkit.types import Image

HEIGHT = 180
"""Pixels that an example is high."""

WIDEST = 320
"""Pixels that an example is wide at most."""

_RED = (224, 49, 49)


def pictures(splits: Splits, finding: Finding) -> list[tuple[str, Image]]:
    """Return name and picture of the samples of a finding, two at most; nothing of those that cannot be opened."""
    shown = []
    for split, index in finding.samples[:2]:
        records = splits[split]
        image = _opened(records.images, index)
        if image is None:
            continue
        if finding.boxes:
            boxes = np.asarray(finding.boxes, dtype=np.float32).reshape(-1, 4)
            boxes = np.column_stack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])
            height = image.shape[0]
            image = small(image, 2)  # first: lines are drawn for the size at which they are seen
            boxes *= image.shape[0] / height
            image = draw_boxes(_room(image), boxes + _BORDER, [""] * len(boxes), [_RED] * len(boxes))
        shown.append((records.names[index], small(image)))
        if finding.code.startswith("mask_") and records.masks is not None:
            mask = _opened(records.masks, index)
            if mask is not None:
                shown.append(("its mask", small(_spread(mask))))
    return shown


_BORDER = 24
"""Pixels of grey around a picture with boxes, so that one is seen that leaves it."""


def small(image: Image, times: int = 1) -> Image:
    """Return a picture that fits into `HEIGHT` and `WIDEST`, or into so many times that."""
    factor = min(times * HEIGHT / image.shape[0], times * WIDEST / image.shape[1], 1.0)
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def data_uri(image: Image) -> str:
    """Return an RGB picture as the source of an <img> that needs no file."""
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _opened(pixels: Pixels, index: int) -> Image | None:
    """Return a picture as training gets it, the first three channels, or None where it cannot be read."""
    try:
        image = np.asarray(pixels[index])
    except DataError:  # which is what the finding says
        return None
    if image.dtype != np.uint8:
        image = (image.astype(np.float32) * (255 / max(float(image.max(initial=0)), 1.0))).astype(np.uint8)
    if image.ndim == 2:
        return image[..., None].repeat(3, axis=2)
    return image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, axis=2)


def _room(image: Image) -> Image:
    grey = (150, 150, 150)
    return np.asarray(
        cv2.copyMakeBorder(image, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_CONSTANT, value=grey), dtype=np.uint8
    )


def _spread(mask: Image) -> Image:
    """Return a mask with its few values spread over all greys."""
    _, rank = np.unique(mask[..., 0], return_inverse=True)
    grey = (rank.reshape(mask.shape[:2]) * (255 // max(int(rank.max()), 1))).astype(np.uint8)
    return grey[..., None].repeat(3, axis=2)
