"""Read a classification data set whose folders are the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.pictures.files import ImageFiles
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import Classes

LAYOUTS = (
    "train/<class>/*.jpg, val/<class>/*.jpg and, if there is one, test/<class>/*.jpg; or <class>/*.jpg without splits"
)


class ImageFolder(Reader):
    """Reads `root/train|val|test/<class>/*`, or `root/<class>/*`.

    Class names are the folders of `train`, by code point; without split folders those of the root.
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = Path(root)

    def splits(self) -> tuple[str, ...]:
        """Return the split folders, or `UNSPLIT` where there are none."""
        listing.require_root(self.root, LAYOUTS)
        found = listing.folders(self.root)
        if not found:
            raise DataError(f"{self.root}: holds no folders; lay it out as {LAYOUTS}")
        if not set(found) & set(SPLITS):
            return UNSPLIT
        if "train" not in found:
            raise DataError(f"{self.root}: has {', '.join(found)} but no train; lay it out as {LAYOUTS}")
        return tuple(split for split in SPLITS if split in found)

    def read(self, split: str) -> Records:
        """Return one split with `labels`."""
        listing.require_split(split, self.splits(), self.root)
        has_splits = (self.root / "train").is_dir()
        classes = listing.folders(self.root / "train" if has_splits else self.root)
        parent = f"{split}/" if has_splits else ""
        if not classes:
            raise DataError(f"{self.root / 'train'}: holds no class folders; lay it out as {LAYOUTS}")
        if unknown := sorted(set(listing.folders(self.root / parent)) - set(classes)):
            raise DataError(f"{self.root / parent / unknown[0]}: is no class of train; these are {', '.join(classes)}")
        paths: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(classes):
            folder = self.root / parent / name
            files = listing.images(folder) if folder.is_dir() else []
            if not files and (split == "train" or not has_splits):
                suffixes = ", ".join(sorted(listing.IMAGE_SUFFIXES))
                self.report.error("class_empty", folder, f"holds no images; add some ({suffixes}) or remove it")
            paths += [f"{parent}{name}/{file}" for file in files]
            labels += [label] * len(files)
        if not paths:
            raise DataError(f"{self.root / parent}: holds no images; lay it out as {LAYOUTS}")
        names = Strings(paths)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(labels=tuple(classes)),
            labels=np.asarray(labels, dtype=np.int64),
        )
