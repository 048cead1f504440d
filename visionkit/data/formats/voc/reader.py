"""Read a data set in the format of Pascal VOC: boxes, class masks and object masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from visionkit.data.formats import listing
from visionkit.data.formats.masks.classes import MaskClasses, listed_classes
from visionkit.data.formats.masks.files import mask_files
from visionkit.data.formats.voc import lists
from visionkit.data.formats.voc.annotations import Annotation, read_annotation
from visionkit.data.formats.voc.lists import IMAGE_SETS, Member
from visionkit.data.formats.voc.object_masks import ObjectMasks
from visionkit.data.pictures.files import ImageFiles
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import LABEL_KINDS, Classes

NAMES: Final = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The classes of the challenge, in the order in which the values 1 to 20 of its masks count them."""

NOTHING: Final = Annotation((), np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=bool))


class VOC(Reader):
    """Reads `JPEGImages` with `Annotations`, `SegmentationClass` and `SegmentationObject`, split by `ImageSets`.

    The format is that of Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", 2010. `image_set` says
    whose lists count, `Main` (of images with boxes) or `Segmentation` (of images with masks); None takes both together.
    A sample carries boxes and a mask where it has the files.

    Boxes: class names are those found in the annotations of all splits, by code point; `difficult` objects become
    `box_ignore`. An image without objects is kept. Coordinates are taken as edges as they stand, which is what the
    annotation tools of today write: xmax - xmin is the width. (The original counts pixels from 1 and includes the last:
    its boxes come out half a pixel to the right and one pixel too small.)

    Masks: the values are named by the lists of `masks.classes`; without one they are background and `NAMES`, unless the
    boxes have other classes. Object masks become `instances` of the boxes when every image of the data set has one: in
    the original with `image_set=Segmentation`.
    """

    def __init__(self, root: str, image_set: str | None = None) -> None:
        super().__init__()
        if image_set not in (None, *IMAGE_SETS):
            raise ConfigError(f"data.image_set={image_set} is unknown; choose {', '.join(IMAGE_SETS)} or null for both")
        self.root = Path(root)
        self.image_sets = IMAGE_SETS if image_set is None else (image_set,)
        self._read: tuple[dict[str, list[str]], dict[str, Annotation]] | None = None

    def splits(self) -> tuple[str, ...]:
        """Return the splits that ImageSets lists, or `UNSPLIT` without lists."""
        return lists.splits(self.root, self.image_sets)

    def read(self, split: str) -> Records:
        """Return one split with `boxes`, `masks` or both, and `instances` where there are."""
        listing.require_split(split, self.splits(), self.root)
        members, annotations = self._everything()
        files = self._files("JPEGImages")
        missing = [stem for stem in members[split] if stem not in files]
        for stem in missing:
            self.report.error(
                "image_missing",
                self.root / "JPEGImages" / stem,
                f"no image of that name, but the split {split} lists it",
            )
        stems = [stem for stem in members[split] if stem in files]
        box_classes = tuple(sorted({name for found in annotations.values() for name in found.names})) or None
        masks = self._files("SegmentationClass")
        if not box_classes and not masks:
            raise DataError(f"{self.root / 'Annotations'}: no annotation holds an object")
        mask_classes = self._mask_classes(box_classes) if masks else None
        has = {"boxes": [stem in annotations for stem in stems], "mask": [stem in masks for stem in stems]}
        present = np.zeros((len(stems), len(LABEL_KINDS)), dtype=bool)
        fields: dict[str, Any] = {}
        if box_classes:
            present[:, LABEL_KINDS.index("boxes")] = has["boxes"]
            fields |= _boxes([annotations.get(stem, NOTHING) for stem in stems], box_classes)
        if mask_classes:
            present[:, LABEL_KINDS.index("mask")] = has["mask"]
            # Those without a mask have the path that it would have, which is never opened.
            paths = Strings(f"SegmentationClass/{masks.get(stem, f'{stem}.png')}" for stem in stems)
            fields["masks"] = mask_files(self.root, paths, mask_classes, ())
        objects = self._files("SegmentationObject")
        if box_classes and all(stem in objects for listed in members.values() for stem in listed):
            paths = Strings(f"SegmentationObject/{objects[stem]}" for stem in stems)
            fields["instances"] = ObjectMasks(self.root, paths, fields["boxes"], fields["box_start"])
        names = Strings(f"JPEGImages/{files[stem]}" for stem in stems)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(boxes=box_classes, mask=mask_classes.names if mask_classes else None),
            present=present,
            **fields,
        )

    def _everything(self) -> tuple[dict[str, list[str]], dict[str, Annotation]]:
        """Return the usable images of each split, and the annotations of all of them; read once."""
        if self._read is None:
            annotations: dict[str, Annotation] = {}
            masks = self._files("SegmentationClass")
            usable: dict[str, list[str]] = {}
            for split in self.splits():
                members = lists.members(self.root, self.image_sets, split, self.report)
                usable[split] = [member.stem for member in members if self._take(member, annotations, masks)]
            self._read = usable, annotations
        return self._read

    def _take(self, member: Member, annotations: dict[str, Annotation], masks: dict[str, str]) -> bool:
        """Return whether an image has what it needs, its annotation among the others."""
        if member.needs_mask and member.stem not in masks:
            path = self.root / "SegmentationClass" / f"{member.stem}.png"
            self.report.error("mask_missing", path, "does not exist, but ImageSets/Segmentation lists its image")
            return False
        path = self.root / "Annotations" / f"{member.stem}.xml"
        if member.needs_boxes or path.is_file():
            found = read_annotation(path, self.report)
            if found is None:
                return False
            annotations[member.stem] = found
        return True

    def _mask_classes(self, box_classes: tuple[str, ...] | None) -> MaskClasses:
        listed = listed_classes(self.root)
        if listed is not None:
            return listed
        if set(box_classes or ()) <= set(NAMES):
            return MaskClasses(("background", *NAMES))
        raise DataError(
            f"{self.root / 'SegmentationClass'}: the boxes have other classes than those of the challenge, so nothing "
            f"says what the masks' values mean; write their names, one a line, into {self.root / 'classes.txt'}"
        )

    def _files(self, folder: str) -> dict[str, str]:
        """Return the pictures of a folder by stem; none where it does not exist."""
        return listing.by_stem(self.root / folder) if (self.root / folder).is_dir() else {}


def _boxes(found: list[Annotation], classes: tuple[str, ...]) -> dict[str, Any]:
    number = {name: index for index, name in enumerate(classes)}
    return {
        "boxes": np.concatenate([NOTHING.boxes, *(item.boxes for item in found)]),
        "box_label": np.asarray([number[name] for item in found for name in item.names], dtype=np.int64),
        "box_ignore": np.concatenate([NOTHING.difficult, *(item.difficult for item in found)]),
        "box_start": np.cumsum([0, *(len(item.names) for item in found)], dtype=np.int64),
    }
