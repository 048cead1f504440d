"""Find the annotations and images of a COCO data set in the layouts that people have."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.reader import UNSPLIT
from visionkit.errors import DataError

LAYOUTS = (
    "annotations/instances_{train,val,test}.json or annotations/{train,val,test}.json with {train,val,test}/*.jpg; "
    "annotations/instances_{train,val}2017.json with {train,val}2017/*.jpg; "
    "{train,valid,test}/_annotations.coco.json beside the images; or, without splits, annotations.json, instances.json "
    "or annotations/instances_default.json with images/*.jpg"
)
_SPLIT_OF = {**{split: split for split in SPLITS}, "valid": "val"}
_NAMED = re.compile(r"(?:instances_)?((train|valid|val|test)(?:\d{4})?)\.json")
_WHOLE = ("annotations.json", "instances.json", "annotations/instances_default.json")
_TRIED = 16
"""Images that are looked for in each folder that may hold them."""


class Source(NamedTuple):
    """One file of annotations and the folders that may hold its images, relative to the root, the likeliest first."""

    annotations: str
    folders: tuple[str, ...]


def find(root: Path) -> dict[str, Source]:
    """Return the sources by split, in the order of the splits; the key is `UNSPLIT[0]` where the data names none.

    Raises DataError when nothing is there, or two files for one split.
    """
    listing.require_root(root, LAYOUTS)
    found: dict[str, list[Source]] = {split: [] for split in SPLITS}
    for path in sorted((root / "annotations").glob("*.json")):
        if match := _NAMED.fullmatch(path.name):
            stem, split = match[1], match[2]
            folders = [folder for name in dict.fromkeys((stem, split)) for folder in (name, f"images/{name}")]
            found[_SPLIT_OF[split]].append(_source(root, f"annotations/{path.name}", [*folders, "images", ""]))
    if not any(found.values()):
        for name, split in _SPLIT_OF.items():
            if (root / name / "_annotations.coco.json").is_file():
                found[split].append(_source(root, f"{name}/_annotations.coco.json", [name, ""]))
    for split, sources in found.items():
        if len(sources) > 1:
            names = " and ".join(source.annotations for source in sources)
            raise DataError(f"{root}: {names} are both annotations of the split {split}; move one out of the folder")
    if any(found.values()):
        return {split: sources[0] for split, sources in found.items() if sources}
    for name in _WHOLE:
        if (root / name).is_file():
            return {UNSPLIT[0]: _source(root, name, ["images", ""])}
    raise DataError(f"{root}: holds no COCO annotations that are known by their name; lay it out as {LAYOUTS}")


def _source(root: Path, annotations: str, folders: Sequence[str]) -> Source:
    return Source(annotations, tuple(folder for folder in folders if (root / folder).is_dir()))


def folder_of(root: Path, source: Source, file_names: Sequence[str]) -> str:
    """Return the folder in which most of some images lie."""
    tried = file_names[:_TRIED]
    return max(source.folders, key=lambda folder: sum((root / folder / name).is_file() for name in tried))


def missing(root: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of the images whose file is not there, listing each folder once."""
    there: set[str] = set()
    for folder in {posixpath.dirname(name) for name in names}:
        if (root / folder).is_dir():
            with os.scandir(root / folder) as entries:
                there.update(posixpath.join(folder, entry.name) for entry in entries)
    # Some systems find a name in other letters than those that they list.
    absent = [row for row, name in enumerate(names) if name not in there and not (root / name).is_file()]
    return np.asarray(absent, dtype=np.int64)
