"""Read boxes, masks and labels of a data set in the format of COCO."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.data.formats import listing
from visionkit.data.formats.coco import layout
from visionkit.data.formats.coco.arrays import read_arrays
from visionkit.data.formats.coco.layout import Source
from visionkit.data.formats.coco.segments import ClassMasks, InstanceMaps, Segments
from visionkit.data.packed import packed
from visionkit.data.pictures.files import ImageFiles
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import IGNORE_INDEX, Classes

BACKGROUND: Final = "background"


class _Part(NamedTuple):
    """What one file of annotations holds, its labels numbered by its own categories."""

    file: Path
    stamp: tuple[int, int]
    names: Strings
    arrays: dict[str, NDArray[Any]]
    categories: dict[int, str]
    segmented: bool  # whether an object is more than a box
    findings: list[tuple[str, str, str, str]]


class COCO(Reader):
    """Reads annotations and images in the layouts of `layout.LAYOUTS`, which it tells apart by itself.

    The format is that of Lin et al., "Microsoft COCO: Common Objects in Context", 2014. The classes are the categories
    of all splits in the order of their ids, which may have gaps; categories of one name are one class. Masks have the
    class `background` and then the other categories; of objects that overlap, the smaller lies on top. Crowds become
    `box_ignore`, are 255 in masks where no object lies on them, are in no instance map, and count for no multi-label.
    Images without annotations are kept. Boxes of no area, inverted ones and those outside of their image are left out
    with a warning.

    A file is read once and kept as arrays in the cache folder (`packed`); polygons and run lengths are read out of the
    file itself and drawn when a mask is asked for.
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = Path(root)
        self._parts: dict[str, _Part] = {}

    def splits(self) -> tuple[str, ...]:
        """Return the splits for which there are annotations."""
        return tuple(layout.find(self.root))

    def read(self, split: str) -> Records:
        """Return one split with `boxes` and `multilabel`, and with `masks` and `instances` where objects have any."""
        sources = layout.find(self.root)
        listing.require_split(split, tuple(sources), self.root)
        for name, source in sources.items():  # the classes are those of all splits
            if name not in self._parts:
                self._parts[name] = self._part(source)
        part = self._parts[split]
        for code, level, where, text in part.findings:
            note = self.report.error if level == "error" else self.report.warning
            note(code, f"{part.file}, {where}", text)
        records = self._records(part, self._names())
        absent = self._absent(part)
        if len(absent) == len(records):
            raise DataError(f"{part.file}: lists no image that is there; lay the data out as {layout.LAYOUTS}")
        return records.take(np.setdiff1d(np.arange(len(records)), absent)) if absent else records

    def _part(self, source: Source) -> _Part:
        file = self.root / source.annotations
        state = file.stat()
        pack = packed(file, "coco", partial(read_arrays, self.root, source), str(self.root.resolve()), *source.folders)
        return _Part(
            file=file,
            stamp=(state.st_size, state.st_mtime_ns),
            names=Strings.of(pack.arrays["name_blob"], pack.arrays["name_start"]),
            arrays=pack.arrays,
            categories=dict(pack.about["categories"]),
            segmented=pack.about["segmented"],
            findings=pack.about["findings"],
        )

    def _names(self) -> tuple[str, ...]:
        """Return the names of the classes. Raises DataError where files disagree about an id, or none has a class."""
        found: dict[int, str] = {}
        for part in self._parts.values():
            for number, name in part.categories.items():
                if found.setdefault(number, name) != name:
                    raise DataError(
                        f"{part.file}: calls category id {number} {name!r}, which another split calls "
                        f"{found[number]!r}; make the files agree"
                    )
        if not found:
            raise DataError(f"{self.root}: its annotations declare no categories; a class needs an id and a name")
        return tuple(dict.fromkeys(found[number] for number in sorted(found)))

    def _absent(self, part: _Part) -> list[int]:
        """Return the images whose file was not there when the annotations were read, and is not there now."""
        absent = [row for row in part.arrays["missing"].tolist() if not (self.root / part.names[row]).is_file()]
        for row in absent:
            path = self.root / part.names[row]
            self.report.error("image_missing", path, f"does not exist, but {part.file} lists it; add or unlist it")
        return absent

    def _records(self, part: _Part, names: tuple[str, ...]) -> Records:
        """Return all images of a file, its labels numbered as in `names`."""
        arrays = part.arrays
        box_label, multilabel = arrays["box_label"], arrays["multilabel"]
        if tuple(part.categories.values()) != names:
            number = np.asarray([names.index(name) for name in part.categories.values()], dtype=np.int64)
            box_label = number[box_label]
            multilabel = np.zeros((len(part.names), len(names)), dtype=np.uint8)
            for old, new in enumerate(number.tolist()):
                multilabel[:, new] |= arrays["multilabel"][:, old]
        boxes: dict[str, Any] = {
            "boxes": arrays["boxes"],
            "box_label": box_label,
            "box_ignore": arrays["box_ignore"],
            "box_start": arrays["box_start"],
        }
        segments = Segments(
            file=part.file,
            stamp=part.stamp,
            names=part.names,
            size=arrays["size"],
            start=arrays["segment_start"],
            length=arrays["segment_length"],
            annotation=arrays["segment_id"],
            **boxes,
        )
        mask_names = (BACKGROUND, *(name for name in names if name != BACKGROUND))
        drawn = any(other.segmented for other in self._parts.values())
        masks = drawn and len(mask_names) <= IGNORE_INDEX  # more do not fit in a mask's 8 bits
        return Records(
            images=ImageFiles(self.root, part.names),
            names=part.names,
            classes=Classes(labels=names, boxes=names, mask=mask_names if masks else None),
            multilabel=multilabel,
            masks=ClassMasks(segments, [mask_names.index(name) for name in names]) if masks else None,
            instances=InstanceMaps(segments) if drawn else None,
            **boxes,
        )
