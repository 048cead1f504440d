"""Read which images of a Pascal VOC data set belong to a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.reader import UNSPLIT
from visionkit.data.report import Report
from visionkit.errors import DataError

LAYOUTS: Final = (
    "JPEGImages/*.jpg with Annotations/*.xml, SegmentationClass/*.png or both, and ImageSets/Main/{train,val,test}.txt "
    "or ImageSets/Segmentation/{train,val,test}.txt (without lists: a fixed 80/20 cut)"
)

IMAGE_SETS: Final = ("Main", "Segmentation")
"""The folders of lists that are read: of images with boxes, and of images with masks."""


class Member(NamedTuple):
    """An image of a split, by its name without suffix."""

    stem: str
    needs_boxes: bool
    needs_mask: bool


def splits(root: Path, image_sets: Sequence[str]) -> tuple[str, ...]:
    """Return the splits that the lists name, or `UNSPLIT` without lists. Raises DataError without what is needed."""
    listing.require_root(root, LAYOUTS)
    if not (root / "JPEGImages").is_dir():
        raise DataError(f"{root}: has no folder JPEGImages; lay it out as {LAYOUTS}")
    if not any((root / name).is_dir() for name in ("Annotations", "SegmentationClass")):
        raise DataError(f"{root}: has no folder Annotations and no SegmentationClass; lay it out as {LAYOUTS}")
    folders = [root / "ImageSets" / name for name in image_sets]
    if not any(folder.is_dir() for folder in folders):
        return UNSPLIT
    found = tuple(split for split in SPLITS if any((folder / f"{split}.txt").is_file() for folder in folders))
    if not found:
        raise DataError(
            f"{root / 'ImageSets'}: holds none of train.txt, val.txt, test.txt in {' and '.join(image_sets)}; "
            f"lay the data out as {LAYOUTS}"
        )
    return found


def members(root: Path, image_sets: Sequence[str], split: str, report: Report) -> list[Member]:
    """Return the images of a split in the order of the lists, each once. Raises DataError when there are none.

    An image that `Main` lists needs its boxes, one of `Segmentation` its mask. Without lists the images are those with
    an annotation or a mask.
    """
    found = _everything(root, report) if split == UNSPLIT[0] else _listed(root, image_sets, split, report)
    if not found:
        raise DataError(f"{root}: the split {split} is empty; lay the data out as {LAYOUTS}")
    return found


def _everything(root: Path, report: Report) -> list[Member]:
    boxes = {path.stem for path in (root / "Annotations").glob("*.xml")}
    masks = set(listing.by_stem(root / "SegmentationClass")) if (root / "SegmentationClass").is_dir() else set()
    for stem, name in listing.by_stem(root / "JPEGImages").items():
        if stem not in boxes | masks:
            report.warning("label_missing", root / "JPEGImages" / name, "an image without annotation is left out")
    return [Member(stem, stem in boxes, stem in masks) for stem in sorted(boxes | masks)]


def _listed(root: Path, image_sets: Sequence[str], split: str, report: Report) -> list[Member]:
    has_boxes = (root / "Annotations").is_dir()
    has_masks = (root / "SegmentationClass").is_dir()
    found: dict[str, Member] = {}
    for image_set in image_sets:
        path = root / "ImageSets" / image_set / f"{split}.txt"
        if not path.is_file():
            continue
        seen: set[str] = set()
        for number, line in enumerate(listing.text(path).splitlines(), start=1):
            where = f"{path}, line {number}"
            stem = line.strip()
            if not stem or listing.inside(root, stem, where, report) is None:
                continue
            if stem in seen:
                report.warning("duplicate_image", where, "an image that is listed twice is taken once")
            seen.add(stem)
            before = found.get(stem, Member(stem, needs_boxes=False, needs_mask=False))
            found[stem] = Member(
                stem,
                needs_boxes=before.needs_boxes or (has_boxes and image_set == "Main"),
                needs_mask=before.needs_mask or (has_masks and image_set == "Segmentation"),
            )
    return list(found.values())
