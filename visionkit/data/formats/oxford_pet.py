"""Read the Oxford-IIIT Pet data set, for every task, and have it downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.formats.published import Published, require
from visionkit.data.formats.voc.annotations import read_annotation
from visionkit.data.pictures.files import ImageFiles, MaskFiles
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import IGNORE_INDEX, LABEL_KINDS, Classes, Image

VAL_EVERY: Final = 5
"""Every fifth image of a breed in trainval.txt, the fifth first, is held out for validation."""

FOLDER: Final = "oxford-iiit-pet"

WHAT: Final = Published(
    "Oxford-IIIT Pet",
    "https://www.robots.ox.ac.uk/~vgg/data/pets",
    811,
    f"{FOLDER} with images and annotations (trainval.txt, test.txt, trimaps, xmls)",
)

SPECIES: Final = ("cat", "dog")

_LISTS = {"train": "trainval.txt", "val": "trainval.txt", "test": "test.txt"}


class _Listed(NamedTuple):
    stem: str
    breed: int


class OxfordPet(Reader):
    """Reads `root/oxford-iiit-pet`: cats and dogs of 37 breeds, with masks and with boxes around their heads.

    Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", 2012. `labels` are the breeds; masks have the classes
    background and pet, and the border between them, where the annotators were not sure, is ignored; boxes have the
    classes cat and dog. Boxes are published for most of trainval.txt and for none of test.txt. The latter is `test`;
    `val` is cut from trainval.txt, each breed by itself. With `download`, what is not there is fetched first.
    """

    def __init__(self, root: str, download: bool = False) -> None:
        super().__init__()
        self.root = Path(root).expanduser()
        self.download = download

    def splits(self) -> tuple[str, ...]:
        """Return all three. Raises DataError when the data set is not there."""
        require(self.root, WHAT, self._is_there, self._fetch if self.download else None)
        return SPLITS

    def read(self, split: str) -> Records:
        """Return one split with `labels`, `masks` and `boxes`."""
        listing.require_split(split, self.splits(), self.root)
        breeds = self._breeds()
        listed = self._listed(_LISTS[split])
        labels = np.asarray([item.breed for item in listed], dtype=np.int64)
        if split != "test":
            held_out = listing.every(labels, VAL_EVERY)
            chosen = np.flatnonzero(held_out if split == "val" else ~held_out)
            listed, labels = [listed[index] for index in chosen], labels[chosen]
        boxes, box_label, counts, has_boxes = self._boxes([item.stem for item in listed])
        present = np.zeros((len(listed), len(LABEL_KINDS)), dtype=bool)
        present[:, [LABEL_KINDS.index("labels"), LABEL_KINDS.index("mask")]] = True
        present[:, LABEL_KINDS.index("boxes")] = has_boxes
        names = Strings(f"{FOLDER}/images/{item.stem}.jpg" for item in listed)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(labels=breeds, mask=("background", "pet"), boxes=SPECIES),
            labels=labels,
            masks=Trimaps(self.root, [f"{FOLDER}/annotations/trimaps/{item.stem}.png" for item in listed]),
            boxes=boxes,
            box_label=box_label,
            box_ignore=np.zeros(len(boxes), dtype=bool),
            box_start=np.cumsum([0, *counts], dtype=np.int64),
            present=present,
        )

    @property
    def _annotations(self) -> Path:
        return self.root / FOLDER / "annotations"

    def _is_there(self) -> bool:
        folders = (self.root / FOLDER / "images", self._annotations / "trimaps", self._annotations / "xmls")
        lists = (self._annotations / name for name in set(_LISTS.values()))
        return all(folder.is_dir() for folder in folders) and all(path.is_file() for path in lists)

    def _fetch(self) -> None:
        from torchvision.datasets import OxfordIIITPet

        OxfordIIITPet(self.root, download=True)

    def _listed(self, name: str) -> list[_Listed]:
        """Return the lines of a list, such as `Abyssinian_100 1 1 1`: name, breed from 1 on, species, breed of it."""
        path = self._annotations / name
        listed: list[_Listed] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if len(words) != 4 or not words[1].isdecimal() or int(words[1]) < 1:
                self.report.error(
                    "bad_annotation",
                    f"{path}, line {number}",
                    "is no `name breed species breed-of-species`; correct it",
                )
                continue
            if listing.inside(self.root, words[0], f"{path}, line {number}", self.report) is not None:
                listed.append(_Listed(words[0], int(words[1]) - 1))
        if not listed:
            raise DataError(f"{path}: lists no image; download the data set again")
        return listed

    def _breeds(self) -> tuple[str, ...]:
        """Return the names of the breeds by number, as torchvision spells them: American Bulldog."""
        found = {item.breed: item.stem.rsplit("_", 1)[0] for item in self._listed("trainval.txt")}
        if missing := sorted(set(range(max(found) + 1)) - set(found)):
            raise DataError(f"{self._annotations / 'trainval.txt'}: lists no image of the breed {missing[0] + 1}")
        return tuple(found[breed].replace("_", " ").title() for breed in range(len(found)))

    def _boxes(self, stems: list[str]) -> tuple[NDArray[np.float32], NDArray[np.int64], list[int], NDArray[np.bool_]]:
        """Return boxes, their classes, how many each image has, and which images have an annotation of boxes."""
        boxes: list[NDArray[np.float32]] = [np.empty((0, 4), dtype=np.float32)]
        labels: list[int] = []
        counts = [0] * len(stems)
        has_boxes = np.zeros(len(stems), dtype=bool)
        for index, stem in enumerate(stems):
            path = self._annotations / "xmls" / f"{stem}.xml"
            found = read_annotation(path, self.report) if path.is_file() else None
            if found is None:
                continue
            if unknown := set(found.names) - set(SPECIES):
                self.report.error("unknown_class", path, f"names {min(unknown)!r}; cat and dog are known")
                continue
            boxes.append(found.boxes)
            labels += [SPECIES.index(name) for name in found.names]
            counts[index] = len(found.names)
            has_boxes[index] = True
        return np.concatenate(boxes), np.asarray(labels, dtype=np.int64), counts, has_boxes


class Trimaps(MaskFiles):
    """Masks with 1 for the pet, 2 for the background and 3 for the border, read as 1, 0 and 255."""

    _NEW_VALUE = np.asarray([IGNORE_INDEX, 1, 0, *[IGNORE_INDEX] * 253], dtype=np.uint8)

    def __init__(self, root: Path, paths: list[str]) -> None:
        super().__init__(root, paths, num_classes=3, ignore=(3,))

    def __getitem__(self, index: int, /) -> Image:
        return np.asarray(self._NEW_VALUE[super().__getitem__(index)])
