"""Find the folders of images and of masks that belong together, and their files by stem."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.reader import UNSPLIT
from visionkit.data.report import Report
from visionkit.errors import DataError

IMAGES: Final = ("images", "image", "imgs", "img")
MASKS: Final = ("masks", "mask", "labelmaps", "labels", "label", "annotations")
LAYOUTS: Final = (
    "images/<split>/* with masks/<split>/*, or <split>/images/* with <split>/masks/*, or images/* with masks/* without "
    "splits; splits are train, val, test"
)

_ENDING: Final = re.compile(r"[_-](l|masks?|labels?|gt|seg)$", re.IGNORECASE)
"""What the name of a mask may have behind that of its image: CamVid's `_L`, `_mask`."""


class Pair(NamedTuple):
    """A folder of images and the folder of their masks, which may not be there."""

    images: Path
    masks: Path


def splits(root: Path) -> tuple[str, ...]:
    """Return the splits for which a folder of images exists, or `UNSPLIT`. Raises DataError without any."""
    listing.require_root(root, LAYOUTS)
    found = tuple(split for split in SPLITS if pair(root, split))
    if found or pair(root, UNSPLIT[0]):
        return found or UNSPLIT
    raise DataError(f"{root}: holds no images/train, no train/images and no images; lay it out as {LAYOUTS}")


def pair(root: Path, split: str) -> Pair | None:
    """Return the folders of a split, or None without a folder of images for it."""
    found = [pair for pair in _candidates(root, split) if pair.images.is_dir()]
    whole = [pair for pair in found if pair.masks.is_dir()]
    usual = [pair for pair in found if "masks" in pair.masks.parts[len(root.parts) :]]
    return next(iter(whole or usual), None)


def _candidates(root: Path, split: str) -> Iterator[Pair]:
    for image in IMAGES:
        for mask in MASKS:
            if split == UNSPLIT[0]:
                if _holds_images(root / image):
                    yield Pair(root / image, root / mask)
                continue
            for name in listing.SPLIT_FOLDERS[split]:
                yield Pair(root / image / name, root / mask / name)
                yield Pair(root / name / image, root / name / mask)
    for name in listing.SPLIT_FOLDERS.get(split, ()):
        for ending in ("_masks", "_labels", "annot"):
            if (root / f"{name}{ending}").is_dir():
                yield Pair(root / name, root / f"{name}{ending}")


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and bool(listing.images(folder))


def paired(root: Path, split: str, report: Report) -> tuple[list[str], list[str]]:
    """Return the paths of a split's images and masks relative to the root, in step; pairs share their stem.

    Raises DataError without a folder of masks, and what the report raises for one without the other.
    """
    listing.require_split(split, splits(root), root)
    found = pair(root, split)
    assert found is not None
    if not found.masks.is_dir():
        raise DataError(f"{found.masks}: does not exist; lay the data out as {LAYOUTS}")
    images = listing.by_stem(found.images)
    if not images:
        raise DataError(f"{found.images}: holds no images; lay the data out as {LAYOUTS}")
    masks = {
        stem if stem in images else _ENDING.sub("", stem): name for stem, name in listing.by_stem(found.masks).items()
    }
    for stem in sorted(set(images) - set(masks)):
        report.error("mask_missing", found.images / images[stem], f"has no mask {stem}.png in {found.masks}")
    for stem in sorted(set(masks) - set(images)):
        report.error("image_missing", found.masks / masks[stem], f"has no image of that name in {found.images}")
    both = [stem for stem in images if stem in masks]
    if not both:
        raise DataError(f"{found.images}: none of its images has a mask in {found.masks}")
    parents = [folder.relative_to(root).as_posix() for folder in found]
    return [f"{parents[0]}/{images[stem]}" for stem in both], [f"{parents[1]}/{masks[stem]}" for stem in both]
