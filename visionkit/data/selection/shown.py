"""Say which classes each image shows, whatever kind of label says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.data.records import Records
from visionkit.types import LABEL_KINDS

COUNTED: Final = ("labels", "multilabel", "boxes")
"""The kinds of labels that say it without a file being decoded."""


class Shown(NamedTuple):
    """Pairs of an image and a class that it shows, each once, by image and then by class."""

    image: NDArray[np.int64]  # (P,) index into the records
    label: NDArray[np.int64]  # (P,) 0 to num_classes - 1
    num_images: int
    num_classes: int
    told: NDArray[np.int64] | None = None  # (num_images,) which kind tells of each, -1 for none; None: one tells of all


def shown(records: Records, kinds: Sequence[str] = COUNTED) -> Shown:
    """Return the classes of each image by the first of `kinds` that it carries and that is in `COUNTED`.

    Where images carry different kinds, the classes of a later kind come behind those of the earlier ones. Boxes to be
    ignored show nothing, and neither does an image that carries none of the kinds.
    """
    images, labels = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    told, num_classes = np.full(len(records), -1), 0
    for number, kind in enumerate(kinds):
        pairs = _pairs(records, kind)
        if pairs is None:
            continue
        telling = records.present[:, LABEL_KINDS.index(kind)] & (told < 0)
        counted = telling[pairs[0]]
        images.append(pairs[0][counted])
        labels.append(pairs[1][counted] + num_classes)
        told[telling] = number
        if telling.any():
            num_classes += len((records.classes.boxes if kind == "boxes" else records.classes.labels) or ())
    image, label = np.divmod(
        np.unique(np.concatenate(images) * max(num_classes, 1) + np.concatenate(labels)), max(num_classes, 1)
    )
    return Shown(image, label, len(records), num_classes, told)


def with_the_untold(shown: Shown) -> Shown:
    """Return the same with the images of which no kind tells, such as those with but a mask, as a class of their own.

    Where it is all of them, they are no class.
    """
    untold = np.flatnonzero(shown.told == -1) if shown.told is not None else np.empty(0, dtype=np.int64)
    if len(untold) in (0, shown.num_images):
        return shown
    order = np.argsort(image := np.concatenate([shown.image, untold]), kind="stable")
    label = np.concatenate([shown.label, np.full(len(untold), shown.num_classes)])
    return shown._replace(image=image[order], label=label[order], num_classes=shown.num_classes + 1)


def _pairs(records: Records, kind: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return each image and class that labels of a kind speak of, carried or not; None where they do not tell."""
    if kind == "labels" and records.labels is not None:
        return np.arange(len(records)), records.labels
    if kind == "multilabel" and records.multilabel is not None:
        image, label = np.nonzero(records.multilabel)
        return image.astype(np.int64), label.astype(np.int64)
    if kind == "boxes" and records.box_label is not None and records.box_ignore is not None:
        assert records.box_start is not None
        counted = ~records.box_ignore
        return np.repeat(np.arange(len(records)), np.diff(records.box_start))[counted], records.box_label[counted]
    return None
