"""Read a segmentation data set of images and class-index masks with the same file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visionkit.config.values import SPLITS
from visionkit.data import listing
from visionkit.data.files import ImageFiles, MaskFiles, decode_index
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import IGNORE_INDEX, Classes

LAYOUTS = "images/<split>/* with masks/<split>/*, or <split>/images/* with <split>/masks/*; splits are train, val, test"


class MaskFolder(Reader):
    """Reads `images/<split>` with `masks/<split>`, or `<split>/images` with `<split>/masks`; pairs share their stem.

    `classes` are the names of the mask values 0, 1, ...; None takes the lines of `root/classes.txt` and, without that
    file, the numbers up to the largest that the training masks hold. `ignore` are the source's values that mean void;
    255 always does.
    """

    def __init__(
        self, root: str, classes: Sequence[str] | None = None, ignore: int | Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.ignore = (ignore,) if isinstance(ignore, int) else tuple(ignore or ())
        if wrong := [value for value in self.ignore if not 0 <= value <= 255]:
            raise ConfigError(f"data.ignore={wrong[0]} is no mask value; values are 0 to 255")
        self.classes = None if classes is None else tuple(str(name) for name in classes)

    def splits(self) -> tuple[str, ...]:
        """Return the splits for which a folder of images exists."""
        listing.require_root(self.root, LAYOUTS)
        found = tuple(split for split in SPLITS if self._folders(split)[0].is_dir())
        if not found:
            raise DataError(f"{self.root}: holds no images/train and no train/images; lay it out as {LAYOUTS}")
        return found

    def read(self, split: str) -> Records:
        """Return one split with `masks`."""
        listing.require_split(split, self.splits(), self.root)
        images, masks = self._pairs(split)
        classes = self._class_names()
        names = Strings(images)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(mask=classes),
            masks=MaskFiles(self.root, masks, len(classes), self.ignore),
        )

    def _folders(self, split: str) -> tuple[Path, Path]:
        if (self.root / "images").is_dir():
            return self.root / "images" / split, self.root / "masks" / split
        return self.root / split / "images", self.root / split / "masks"

    def _pairs(self, split: str) -> tuple[list[str], list[str]]:
        """Return the paths of images and masks, relative to the root, in step."""
        image_folder, mask_folder = self._folders(split)
        if not mask_folder.is_dir():
            raise DataError(f"{mask_folder}: does not exist; lay the data out as {LAYOUTS}")
        images, masks = listing.by_stem(image_folder), listing.by_stem(mask_folder)
        if not images:
            raise DataError(f"{image_folder}: holds no images; lay the data out as {LAYOUTS}")
        if missing := sorted(set(images) - set(masks)):
            raise DataError(f"{image_folder / images[missing[0]]}: has no mask {missing[0]}.png in {mask_folder}")
        if missing := sorted(set(masks) - set(images)):
            raise DataError(f"{mask_folder / masks[missing[0]]}: has no image of that name in {image_folder}")
        parents = [folder.relative_to(self.root).as_posix() for folder in (image_folder, mask_folder)]
        return [f"{parents[0]}/{images[s]}" for s in images], [f"{parents[1]}/{masks[s]}" for s in images]

    def _class_names(self) -> tuple[str, ...]:
        """Return the names given, those of classes.txt, or the numbers found in the training masks (read once)."""
        if self.classes is None:
            listed = self.root / "classes.txt"
            if listed.is_file():
                lines = listed.read_text(encoding="utf-8").splitlines()
                self.classes = tuple(line.strip() for line in lines if line.strip())
            else:
                self.classes = tuple(str(value) for value in range(self._largest() + 1))
        if not 1 <= len(self.classes) <= IGNORE_INDEX:
            raise DataError(f"{self.root}: {len(self.classes)} classes; a mask has 1 to {IGNORE_INDEX}")
        return self.classes

    def _largest(self) -> int:
        void = [*self.ignore, IGNORE_INDEX]
        largest = -1
        for path in self._pairs("train")[1]:
            values = np.unique(decode_index(self.root / path)).astype(np.int64)
            largest = max(largest, int(values[~np.isin(values, void)].max(initial=-1)))
        return largest
