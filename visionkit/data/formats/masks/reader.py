"""Read a segmentation data set of images and masks with the same file names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from visionkit.data.formats import listing, pairs
from visionkit.data.formats.masks.classes import MaskClasses, given_colours, listed_classes
from visionkit.data.formats.masks.files import mask_files, painted_mask, unnamed_colours
from visionkit.data.pictures.files import ImageFiles, decode_index
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import IGNORE_INDEX, Classes


class MaskFolder(Reader):
    """Reads the folders of images and masks that `pairs` finds.

    A mask holds one class number a pixel, or colours that stand for classes. What stands for what is said by
    `class_names` (of the values 0, 1, ...) or `colours` (red, green and blue by class name); else by the lists of
    `classes`; and without those, numbers are their own names, up to the largest that the training masks hold.
    `ignore` are the source's values that mean void; 255 always does.
    """

    def __init__(
        self,
        root: str,
        class_names: Sequence[str] | None = None,
        colours: Mapping[str, Sequence[int]] | None = None,
        ignore: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.ignore = (ignore,) if isinstance(ignore, int) else tuple(ignore or ())
        if wrong := [value for value in self.ignore if not 0 <= value <= 255]:
            raise ConfigError(f"data.ignore={wrong[0]} is no mask value; values are 0 to 255")
        if class_names and colours:
            raise ConfigError("data.class_names and data.colours both name the classes; give one of them")
        self.class_names = None if class_names is None else tuple(str(name) for name in class_names)
        self.colours = given_colours(colours) if colours else None
        self._found: MaskClasses | None = None

    def splits(self) -> tuple[str, ...]:
        """Return the splits for which a folder of images exists, or `UNSPLIT`."""
        return pairs.splits(self.root)

    def read(self, split: str) -> Records:
        """Return one split with `masks`."""
        images, masks = pairs.paired(self.root, split, self.report)
        classes = self._classes()
        names = Strings(images)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(mask=classes.names),
            masks=mask_files(self.root, Strings(masks), classes, self.ignore),
        )

    def _classes(self) -> MaskClasses:
        """Return the classes as they are given, listed, or found in the masks (read once)."""
        if self._found is None:
            given = self.colours or (None if self.class_names is None else MaskClasses(self.class_names))
            found = given or listed_classes(self.root) or self._numbered()
            if not 1 <= len(found.names) <= IGNORE_INDEX:
                raise DataError(f"{self.root}: {len(found.names)} classes; a mask has 1 to {IGNORE_INDEX}")
            self._found = found
        return self._found

    def _numbered(self) -> MaskClasses:
        """Return the numbers up to the largest in the masks of `train`, or of all without splits."""
        split = UNSPLIT[0] if self.splits() == UNSPLIT else "train"
        listing.require_split(split, self.splits(), self.root)
        paths = pairs.paired(self.root, split, self.report)[1]
        if painted := painted_mask(self.root, paths):
            raise unnamed_colours(self.root, painted)
        void = [*self.ignore, IGNORE_INDEX]
        largest = -1
        for path in paths:
            try:
                values = np.unique(decode_index(self.root / path)).astype(np.int64)
            except DataError:
                if not self.report.lenient:
                    raise
                continue  # whoever looks at every file names it
            largest = max(largest, int(values[~np.isin(values, void)].max(initial=-1)))
        return MaskClasses(tuple(str(value) for value in range(largest + 1)))
