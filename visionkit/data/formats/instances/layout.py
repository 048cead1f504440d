"""Find the images of a data set of instance masks, and the masks of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing, pairs
from visionkit.data.reader import UNSPLIT
from visionkit.data.report import Report
from visionkit.errors import DataError

LABEL_MAPS: Final = "labelmaps"

LAYOUTS: Final = (
    "<split>/<name>/images/*.png with <split>/<name>/masks/*.png, a mask an object; or label maps, where each object "
    "has a number: images/<split>/* with labelmaps/<split>/* or masks/<split>/*; splits are train, val, test, or none"
)


class Item(NamedTuple):
    """An image and its masks, as paths relative to the root."""

    image: str
    masks: tuple[str, ...]
    numbered: bool  # one label map, in which the objects are numbered, instead of a mask an object


def find_splits(root: Path) -> tuple[str, ...]:
    """Return the splits that there are, or `UNSPLIT`. Raises DataError when there is nothing of the kind."""
    listing.require_root(root, LAYOUTS)
    found = tuple(split for split in SPLITS if _maps(root, split) or any(_folders(root, split)))
    if found or _maps(root, UNSPLIT[0]) or any(_folders(root, UNSPLIT[0])):
        return found or UNSPLIT
    raise DataError(f"{root}: holds no instance masks; lay it out as {LAYOUTS}")


def find_items(root: Path, split: str, report: Report) -> list[Item]:
    """Return the images of a split; label maps are taken where there are both. Raises DataError without any."""
    found = _mapped(root, split, report) if _maps(root, split) else _single(root, split, report)
    if not found:
        raise DataError(f"{root}: the split {split} holds no image with masks; lay it out as {LAYOUTS}")
    return found


def _names(split: str) -> tuple[str, ...]:
    """Return what the folder of a split may be called; none at all without splits."""
    return listing.SPLIT_FOLDERS.get(split, ("",))


def _maps(root: Path, split: str) -> Path | None:
    """Return the folder of a split's label maps."""
    pair = pairs.pair(root, split)
    if pair is not None and pair.masks.is_dir():
        return pair.masks
    found = [root / LABEL_MAPS / name for name in _names(split) if (root / LABEL_MAPS / name).is_dir()]
    return next((folder for folder in found if listing.images(folder)), None)


def _mapped(root: Path, split: str, report: Report) -> list[Item]:
    pair = pairs.pair(root, split)
    if pair is not None and pair.masks.is_dir():
        both = zip(*pairs.paired(root, split, report), strict=True)
        return [Item(image, (mask,), numbered=True) for image, mask in both]
    folder = _maps(root, split)
    assert folder is not None
    images = {path.stem: path for single in _folders(root, split) for path in _images(single)}
    items = []
    for stem, name in listing.by_stem(folder).items():
        if stem in images:
            mask = (folder / name).relative_to(root).as_posix()
            items.append(Item(images[stem].relative_to(root).as_posix(), (mask,), numbered=True))
        else:
            report.error("image_missing", folder / name, f"has no image {stem}; it belongs into images/{split}")
    return items


def _folders(root: Path, split: str) -> Iterator[Path]:
    """Yield the folders that hold one image with its masks."""
    for name in _names(split):
        parent = root / name
        for single in listing.folders(parent) if parent.is_dir() else ():
            if (parent / single / "images").is_dir():
                yield parent / single


def _single(root: Path, split: str, report: Report) -> list[Item]:
    items = []
    for folder in _folders(root, split):
        images = _images(folder)
        if len(images) != 1:
            report.error("image_missing", folder / "images", f"holds {len(images)} images; one is needed")
        elif not (folder / "masks").is_dir():
            report.error(
                "mask_missing", folder / "masks", "does not exist; an image without objects has an empty folder"
            )
        else:
            parent = folder.relative_to(root).as_posix()
            masks = tuple(f"{parent}/masks/{name}" for name in listing.images(folder / "masks"))
            items.append(Item(images[0].relative_to(root).as_posix(), masks, numbered=False))
    return items


def _images(folder: Path) -> list[Path]:
    return [folder / "images" / name for name in listing.images(folder / "images")]
