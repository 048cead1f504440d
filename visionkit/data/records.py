"""Hold one split of a data set in arrays, whatever its format on disk was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visionkit.data.strings import Strings
from visionkit.types import LABEL_KINDS, Classes


class Pixels(Protocol):
    """Pictures by index, in memory or on disk; a numpy array satisfies it.

    Images are (H, W, 3) RGB uint8, masks (H, W) uint8 with 255 = ignore, instance maps (H, W) uint8 or uint16.
    """

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        """Return one picture. Raises DataError when its file cannot be used."""


def _unset() -> NDArray[np.bool_]:
    return np.empty((0, len(LABEL_KINDS)), dtype=bool)


@dataclass(frozen=True)
class Records:
    """N samples of one split. A label kind that the data set does not have is None.

    The boxes of image i are the rows `box_start[i]` to `box_start[i + 1]`, in absolute pixels x1 y1 x2 y2 (edges, so
    that x2 - x1 is the width). In an instance map the value k + 1 marks the pixels of the image's k-th box.
    `present[i]` says which of `LABEL_KINDS` sample i carries; left out, it is all that there are.

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
