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


def shown(records: Records, kinds: Sequence[str] = COUNTED) -> Shown:
    """Return the classes of the first of `kinds` that the records carry and that is in `COUNTED`; else no pair at all.

    Boxes to be ignored show nothing, and neither does a sample that does not carry the kind.
    """
    num = len(records)
    kind = next((kind for kind in kinds if kind in COUNTED and kind in records.kinds), None)
    image: NDArray[np.int64]
    label: NDArray[np.int64]
    if kind == "labels" and records.labels is not None:
        image, label = np.arange(num), records.labels
    elif kind == "multilabel" and records.multilabel is not None:
        image, label = (found.astype(np.int64) for found in np.nonzero(records.multilabel))
    elif kind == "boxes" and records.box_label is not None and records.box_ignore is not None:
        assert records.box_start is not None
        counted = ~records.box_ignore
        image, label = np.repeat(np.arange(num), np.diff(records.box_start))[counted], records.box_label[counted]
    else:
        return Shown(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), num, 0)
    names = records.classes.boxes if kind == "boxes" else records.classes.labels
    num_classes = len(names or ())
    carried = records.present[image, LABEL_KINDS.index(kind)]
    pairs = np.unique(image[carried] * num_classes + label[carried])
    return Shown(pairs // max(num_classes, 1), pairs % max(num_classes, 1), num, num_classes)
