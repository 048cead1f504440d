"""Hold one split of a data set in arrays, whatever its format on disk was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.data.pixels import Absent, Pixels, join, take
from visionkit.data.strings import Strings
from visionkit.types import LABEL_KINDS, Classes


def _unset() -> NDArray[np.bool_]:
    return np.empty((0, len(LABEL_KINDS)), dtype=bool)


@dataclass(frozen=True)
class Records:
    """N samples of one split. A label kind that the data set does not have is None.

    The boxes of image i are the rows `box_start[i]` to `box_start[i + 1]`, in absolute pixels x1 y1 x2 y2 (edges, so
    that x2 - x1 is the width). In an instance map the value k + 1 marks the pixels of the image's k-th box.
    `present[i]` says which of `LABEL_KINDS` sample i carries; left out, it is all that there are. `groups` names what
    samples belong to, such as a patient: those of one group are never cut apart.

    Raises ValueError when arrays disagree in length.
    """

    images: Pixels
    names: Strings  # one a sample, unique: the path relative to the root
    classes: Classes
    labels: NDArray[np.int64] | None = None  # (N,)
    multilabel: NDArray[np.uint8] | None = None  # (N, K), 0 or 1
    masks: Pixels | None = None
    boxes: NDArray[np.float32] | None = None  # (M, 4)
    box_label: NDArray[np.int64] | None = None  # (M,)
    box_ignore: NDArray[np.bool_] | None = None  # (M,) crowd or difficult
    box_start: NDArray[np.int64] | None = None  # (N + 1,)
    instances: Pixels | None = None
    groups: Strings | None = None
    present: NDArray[np.bool_] = field(default_factory=_unset)  # (N, len(LABEL_KINDS))

    def __post_init__(self) -> None:
        num = len(self.images)
        if not len(self.present):
            has = [getattr(self, name) is not None for name in ("labels", "multilabel", "masks", "boxes")]
            object.__setattr__(self, "present", np.tile(np.asarray(has, dtype=bool), (num, 1)))
        boxes = None if self.boxes is None else len(self.boxes)
        expected = {
            "names": num,
            "labels": num,
            "multilabel": num,
            "masks": num,
            "instances": num,
            "present": num,
            "groups": num,
            "box_label": boxes,
            "box_ignore": boxes,
            "box_start": num + 1,
        }
        for name, length in expected.items():
            value = getattr(self, name)
            if value is not None and len(value) != length:
                raise ValueError(
                    f"Records.{name} has {len(value)} entries; {num} images and {boxes} boxes need {length}"
                )
        if self.boxes is not None:
            if self.box_label is None or self.box_ignore is None or self.box_start is None:
                raise ValueError("Records.boxes comes with box_label, box_ignore and box_start; one of them is None")
            if self.box_start[0] != 0 or self.box_start[-1] != boxes or (np.diff(self.box_start) < 0).any():
                raise ValueError(f"Records.box_start must rise from 0 to {boxes}, the number of boxes")
        if self.present.shape[1] != len(LABEL_KINDS):
            raise ValueError(f"Records.present has {self.present.shape[1]} columns; they are {LABEL_KINDS}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The entries of `LABEL_KINDS` that at least one sample carries."""
        return tuple(
            kind for kind, some in zip(LABEL_KINDS, np.atleast_1d(self.present.any(axis=0)), strict=True) if some
        )

    def take(self, indices: NDArray[np.int64]) -> Records:
        """Return the samples at `indices`, in that order."""
        boxes: dict[str, Any] = {}
        if self.boxes is not None and self.box_label is not None and self.box_ignore is not None:
            rows, start = self.rows(indices)
            boxes = {
                "boxes": self.boxes[rows],
                "box_label": self.box_label[rows],
                "box_ignore": self.box_ignore[rows],
                "box_start": start,
            }
        return Records(
            images=take(self.images, indices),
            names=Strings(self.names[int(index)] for index in indices),
            classes=self.classes,
            labels=None if self.labels is None else self.labels[indices],
            multilabel=None if self.multilabel is None else self.multilabel[indices],
            masks=None if self.masks is None else take(self.masks, indices),
            instances=None if self.instances is None else take(self.instances, indices),
            groups=None if self.groups is None else Strings(self.groups[int(index)] for index in indices),
            present=self.present[indices],
            **boxes,
        )

    def rows(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of the boxes of the samples at `indices`, and where each sample's begin among them.

        Raises ValueError without boxes.
        """
        if self.box_start is None:
            raise ValueError("these records have no boxes")
        counts = np.diff(self.box_start)[indices]
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return np.repeat(self.box_start[indices] - start[:-1], counts) + np.arange(start[-1]), start


def joined(parts: Sequence[Records]) -> Records:
    """Return the samples of all parts, one part after the other. Raises ValueError when parts have other classes.

    A kind of label that a part lacks, its samples do not carry. Where some parts have groups, each sample of the others
    is one by itself; instance maps are left out unless all parts have them.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if any(part.classes != first.classes for part in parts):
        raise ValueError("the parts of a data set have different classes")
    parts = [_widened(part, parts) for part in parts]
    fields: dict[str, Any] = {}
    for name in ("labels", "multilabel", "boxes", "box_label", "box_ignore"):
        fields[name] = _all([getattr(part, name) for part in parts], np.concatenate)
    for name in ("masks", "instances"):
        fields[name] = _all([getattr(part, name) for part in parts], join)
    for name in ("names", "groups"):
        fields[name] = _all([getattr(part, name) for part in parts], _strings)
    starts = [part.box_start for part in parts if part.box_start is not None]
    if starts:
        counts = np.concatenate([np.diff(start) for start in starts])
        fields["box_start"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Records(
        images=join([part.images for part in parts]),
        classes=first.classes,
        present=np.concatenate([part.present for part in parts]),
        **fields,
    )


def _widened(part: Records, parts: Sequence[Records]) -> Records:
    """Return a part with a field of nothing for each that another part has and it has not."""
    num = len(part)
    nothing: dict[str, Any] = {
        "labels": np.zeros(num, dtype=np.int64),
        "multilabel": np.zeros((num, len(part.classes.labels or ())), dtype=np.uint8),
        "masks": Absent(num),
        "boxes": np.zeros((0, 4), dtype=np.float32),
        "box_label": np.zeros(0, dtype=np.int64),
        "box_ignore": np.zeros(0, dtype=bool),
        "box_start": np.zeros(num + 1, dtype=np.int64),
        "groups": part.names,
    }
    lacking = {
        name: value
        for name, value in nothing.items()
        if getattr(part, name) is None and any(getattr(other, name) is not None for other in parts)
    }
    if any(other.instances is None for other in parts):
        lacking["instances"] = None
    return replace(part, **lacking)


def _all(values: Sequence[Any], put: Callable[[Sequence[Any]], Any]) -> Any:
    """Return what `put` makes of the values of all parts, or None where no part has one."""
    return None if values[0] is None else put(values)


def _strings(parts: Sequence[Strings]) -> Strings:
    return Strings(text for part in parts for text in part)
