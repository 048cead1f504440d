"""Read scikit-learn's handwritten digits in the protocol of its own documentation."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from visionkit.config.values import SPLITS
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import Classes

NUM_TRAIN: Final = 898
"""The first half of the 1797 digits, as in scikit-learn's example "Recognizing hand-written digits" (no shuffling)."""

VAL_EVERY: Final = 10
"""Every tenth digit of the first half, the tenth first, is held out for validation."""


class SklearnDigits(Reader):
    """Reads the 8x8 digits, not shuffled: trains on the first 898, tests on the last 899.

    Every tenth of the first half is `val` and not in `train`. A pixel becomes `scale` x `scale` equal pixels of three
    equal channels, its value 0 to 16 spread to 0 to 255: exact, so any size holds the same information.
    """

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        if scale < 1:
            raise ConfigError(f"data.scale={scale} makes no image; give a whole number from 1 on")
        self.scale = scale

    def splits(self) -> tuple[str, ...]:
        """Return all three."""
        return SPLITS

    def read(self, split: str) -> Records:
        """Return one split with `labels`; images are (8 * scale, 8 * scale, 3)."""
        if split not in SPLITS:
            raise DataError(f"the digits have no split {split!r}; they have {', '.join(SPLITS)}")
        digits = load_digits()
        chosen = _indices(split, len(digits.images))
        grey = np.rint(digits.images[chosen] * (255 / 16)).astype(np.uint8)
        large = grey.repeat(self.scale, axis=1).repeat(self.scale, axis=2)
        return Records(
            images=np.repeat(large[..., None], 3, axis=3),
            names=Strings(f"digit_{index:04d}" for index in chosen),
            classes=Classes(labels=tuple(str(name) for name in digits.target_names)),
            labels=digits.target[chosen].astype(np.int64),
        )


def _indices(split: str, total: int) -> NDArray[np.int64]:
    if split == "test":
        return np.arange(NUM_TRAIN, total)
    first = np.arange(NUM_TRAIN)
    held_out = first % VAL_EVERY == VAL_EVERY - 1
    return np.asarray(first[held_out if split == "val" else ~held_out])
