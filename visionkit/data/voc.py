"""Read a detection data set in the format of Pascal VOC."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import numpy as np
from defusedxml.common import DefusedXmlException

from visionkit.config.values import SPLITS
from visionkit.data import listing
from visionkit.data.files import ImageFiles
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import Classes

LAYOUTS = (
    "JPEGImages/*.jpg, Annotations/*.xml and ImageSets/Main/{train,val,test}.txt (without the last: a fixed 80/20 cut)"
)


class _Object(NamedTuple):
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


class VOC(Reader):
    """Reads `JPEGImages`, `Annotations` and `ImageSets/Main/<split>.txt`.

    The format is that of Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", 2010.
    Class names are those found in the annotations of all splits, by code point; `difficult` objects become
    `box_ignore`. An image without objects is kept. Coordinates are taken as edges as they stand, which is what the
    annotation tools of today write: xmax - xmin is the width. (The original counts pixels from 1 and includes the last:
    its boxes come out half a pixel to the right and one pixel too small.) Boxes of no area, also inverted ones, are
    dropped with a warning.
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = Path(root)
        self._objects: dict[str, list[_Object]] | None = None

    def splits(self) -> tuple[str, ...]:
        """Return the splits that ImageSets/Main lists, or `UNSPLIT` without it."""
        listing.require_root(self.root, LAYOUTS)
        for name in ("JPEGImages", "Annotations"):
            if not (self.root / name).is_dir():
                raise DataError(f"{self.root}: has no folder {name}; lay it out as {LAYOUTS}")
        if not self._lists.is_dir():
            return UNSPLIT
        found = tuple(split for split in SPLITS if (self._lists / f"{split}.txt").is_file())
        if not found:
            raise DataError(f"{self._lists}: holds none of train.txt, val.txt, test.txt; lay the data out as {LAYOUTS}")
        return found

    def read(self, split: str) -> Records:
        """Return one split with `boxes`."""
        listing.require_split(split, self.splits(), self.root)
        objects = self._all_objects()
        classes = tuple(sorted({item.name for items in objects.values() for item in items}))
        if not classes:
            raise DataError(f"{self.root / 'Annotations'}: no annotation holds an object")
        number = {name: index for index, name in enumerate(classes)}
        files = listing.by_stem(self.root / "JPEGImages")
        stems = self._stems(split)
        if missing := [stem for stem in stems if stem not in files]:
            raise DataError(
                f"{self.root / 'JPEGImages' / missing[0]}: no image of that name, but the split {split} lists it"
            )
        flat = [item for stem in stems for item in objects[stem]]
        names = Strings(f"JPEGImages/{files[stem]}" for stem in stems)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(boxes=classes),
            boxes=np.asarray([item.box for item in flat], dtype=np.float32).reshape(-1, 4),
            box_label=np.asarray([number[item.name] for item in flat], dtype=np.int64),
            box_ignore=np.asarray([item.difficult for item in flat], dtype=bool),
            box_start=np.cumsum([0, *(len(objects[stem]) for stem in stems)], dtype=np.int64),
        )

    @property
    def _lists(self) -> Path:
        return self.root / "ImageSets" / "Main"

    def _stems(self, split: str) -> list[str]:
        if not self._lists.is_dir():
            stems = sorted(path.stem for path in (self.root / "Annotations").glob("*.xml"))
        else:
            lines = (self._lists / f"{split}.txt").read_text(encoding="utf-8").splitlines()
            stems = [line.strip() for line in lines if line.strip()]
        if not stems:
            raise DataError(f"{self.root}: the split {split} is empty; lay the data out as {LAYOUTS}")
        return stems

    def _all_objects(self) -> dict[str, list[_Object]]:
        """Return the objects of every listed image, read once, without boxes of no area."""
        if self._objects is None:
            everything: dict[str, list[_Object]] = {}
            for split in self.splits():
                for stem in self._stems(split):
                    path = self.root / "Annotations" / f"{stem}.xml"
                    found = _parse(path)
                    kept = [item for item in found if item.box[2] > item.box[0] and item.box[3] > item.box[1]]
                    everything[stem] = kept
                    for number, item in enumerate(found, start=1):
                        if item not in kept:
                            self.report.warning(
                                "box_empty",
                                f"{path}, object {number}",
                                "a box of no area (xmax <= xmin or ymax <= ymin) is left out",
                            )
            self._objects = everything
        return self._objects


def _parse(path: Path) -> list[_Object]:
    try:
        tree = defusedxml.ElementTree.parse(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); every listed image needs its annotation"
        ) from error
    except (ParseError, DefusedXmlException) as error:
        raise DataError(f"{path}: is no valid XML ({error}); repair or remove the file") from error
    return [_object(path, element) for element in tree.iter("object")]


def _object(path: Path, element: Element) -> _Object:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{path}: an object has no <name>")
    texts = {side: element.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")}
    sides: list[float] = []
    for side, text in texts.items():
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"{path}: object {name!r} has <{side}> {text!r}; a number of pixels is needed")
        sides.append(value)
    difficult = (element.findtext("difficult") or "0").strip() not in ("0", "")
    return _Object(name, (sides[0], sides[1], sides[2], sides[3]), difficult)
