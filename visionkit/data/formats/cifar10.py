"""Read CIFAR-10 as torchvision keeps it, and have it downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.formats.published import Published, require
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.types import Classes

VAL_EVERY: Final = 10
"""Every tenth training image of a class, the tenth first, is held out for validation: 45,000 train and 5,000 val."""

WHAT: Final = Published(
    "CIFAR-10", "https://www.cs.toronto.edu/~kriz/cifar.html", 170, "cifar-10-batches-py (its files checked by MD5)"
)


class CIFAR10(Reader):
    """Reads `root/cifar-10-batches-py`: 32 x 32 images of ten classes, held in memory.

    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. `test` is the published one; its training
    images are cut into `train` and `val` in the sizes of He et al., "Deep Residual Learning for Image Recognition"
    (2016), each class by itself, in the order of the files. With `download`, what is not there is fetched first.
    """

    def __init__(self, root: str, download: bool = False) -> None:
        super().__init__()
        self.root = Path(root).expanduser()
        self.download = download
        self._found = False

    def splits(self) -> tuple[str, ...]:
        """Return all three. Raises DataError when the files are not there, or not whole."""
        if not self._found:  # the files are checked by reading them through
            require(self.root, WHAT, self._is_there, (lambda: _torchvision(self.root, True)) if self.download else None)
            self._found = True
        return SPLITS

    def read(self, split: str) -> Records:
        """Return one split with `labels`; images are (32, 32, 3)."""
        listing.require_split(split, self.splits(), self.root)
        official = "test" if split == "test" else "train"
        found = _torchvision(self.root, False, train=official == "train")
        labels = np.asarray(found.targets, dtype=np.int64)
        chosen = np.arange(len(labels))
        if official == "train":
            held_out = listing.every(labels, VAL_EVERY)
            chosen = np.flatnonzero(held_out if split == "val" else ~held_out)
        return Records(
            images=np.ascontiguousarray(found.data[chosen]),
            names=Strings(f"{official}/{index:05d}" for index in chosen),
            classes=Classes(labels=tuple(found.classes)),
            labels=labels[chosen],
        )

    def _is_there(self) -> bool:
        try:
            _torchvision(self.root, False, train=False)
        except RuntimeError:  # "not found or corrupted"
            return False
        return True


def _torchvision(root: Path, download: bool, train: bool = True) -> Any:
    """Return torchvision's data set, which checks every file. Raises RuntimeError when one is not whole."""
    from torchvision import datasets

    return datasets.CIFAR10(root, train=train, download=download)
