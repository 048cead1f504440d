"""Open every picture and every mask of a data set once, and keep a few numbers of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visionkit.data.pixels import Pixels, path_of
from visionkit.data.records import Records
from visionkit.engine.doctor import looking
from visionkit.engine.doctor.codes import Finding
from visionkit.engine.doctor.looking import FACTS, NOTES, UnusableError
from visionkit.engine.doctor.pool import Splits, spread
from visionkit.errors import DataError
from visionkit.types import LABEL_KINDS

AT_ONCE = 32
"""Pictures of a job: few enough for a progress bar that moves."""

_MASK = LABEL_KINDS.index("mask")


class Scan(NamedTuple):
    """What all pictures of a data set are like, split after split."""

    splits: tuple[str, ...]
    start: NDArray[np.int64]
    """Row of each split's first picture, and behind the last the number of all."""
    facts: NDArray[Any]
    """A row of `looking.FACTS` a picture."""
    mask_images: dict[str, NDArray[np.int64]]
    """By split, how many masks hold each class; empty without masks."""
    findings: list[Finding]

    def of(self, split: str) -> NDArray[Any]:
        """Return the facts of a split."""
        place = self.splits.index(split)
        return self.facts[self.start[place] : self.start[place + 1]]

    def sample(self, row: int) -> tuple[str, int]:
        """Return split and index of a row."""
        place = int(np.searchsorted(self.start, row, side="right")) - 1
        return self.splits[place], row - int(self.start[place])


class _Part(NamedTuple):
    facts: NDArray[Any]
    mask_images: NDArray[np.int64]
    findings: list[Finding]


def scan(splits: Splits, advance: Callable[[int], object], processes: int | None = None) -> Scan:
    """Open everything, on all cores; `advance` is told how many more pictures are done."""
    start = np.cumsum([0, *(len(records) for records in splits.values())])
    facts = np.zeros(start[-1], dtype=FACTS)
    holding = {split: np.zeros(256, dtype=np.int64) for split, records in splits.items() if records.masks is not None}
    findings: list[Finding] = []
    jobs = [
        (split, first, min(first + AT_ONCE, len(records)))
        for split, records in splits.items()
        for first in range(0, len(records), AT_ONCE)
    ]
    row = 0
    for (split, first, end), part in zip(jobs, spread(splits, _look, jobs, processes), strict=True):
        facts[row : row + len(part.facts)] = part.facts
        row += len(part.facts)
        if split in holding:
            holding[split] += part.mask_images
        findings += part.findings
        advance(end - first)
    return Scan(tuple(splits), start, facts, holding, findings)


def _look(splits: Splits, job: tuple[str, int, int]) -> _Part:
    """Look at some pictures of a split, and at their masks."""
    split, first, end = job
    records = splits[split]
    part = _Part(np.zeros(end - first, dtype=FACTS), np.zeros(256, dtype=np.int64), [])
    for index in range(first, end):
        name, sample = records.names[index], ((split, index),)
        try:
            seen = looking.look(records.images, index)
        except UnusableError as error:
            part.findings.append(Finding(error.code, (name,), str(error), sample, leave_out=(name,)))
            continue
        part.facts[index - first] = looking.facts(seen)
        part.findings.extend(Finding(note, (name,), _said(note, seen), sample) for note in NOTES if note in seen.notes)
        if records.masks is not None and records.present[index, _MASK]:
            part.findings.extend(_mask(records, split, index, seen.height, seen.width, part.mask_images))
        if records.instances is not None:
            part.findings.extend(_plane(records, records.instances, split, index, seen.height, seen.width)[1])
    return part


def _mask(
    records: Records, split: str, index: int, height: int, width: int, holding: NDArray[np.int64]
) -> list[Finding]:
    """Return what is wrong with a mask, and count the classes that it holds."""
    assert records.masks is not None
    values, findings = _plane(records, records.masks, split, index, height, width)
    if values is not None:
        holding[np.unique(values)] += 1
    return findings


def _plane(
    records: Records, pixels: Pixels, split: str, index: int, height: int, width: int
) -> tuple[NDArray[Any] | None, list[Finding]]:
    """Return a mask or a map of instances, None where it cannot be read, and what is wrong with it."""
    name, path = records.names[index], path_of(pixels, index)
    file = name if path is None else str(path)
    about: dict[str, Any] = {"samples": ((split, index),), "leave_out": (name,)}
    try:
        values = np.asarray(pixels[index])
    except DataError as error:
        said = str(error).removeprefix(f"{path}: ")
        code = "mask_value" if path is not None and _opens(path) else "mask_unreadable"
        return None, [Finding(code, (file,), said, **about)]
    if values.shape == (height, width):
        return values, []
    said = f"is {values.shape[0]} x {values.shape[1]} pixels (height x width), its image {name} {height} x {width}"
    return values, [Finding("mask_size", (file,), said, **about)]


def _opens(path: Any) -> bool:
    """Return whether a file is a whole picture, whatever its values mean."""
    try:
        with PillowImage.open(path) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _said(note: str, seen: looking.Look) -> str:
    if note == "wrong_extension":
        return f"holds {seen.holds}"
    return {
        "turned": "is turned when it is read",
        "grey": "has one channel",
        "alpha": "has an alpha channel",
        "deep": "has more than 8 bits a channel",
        "cmyk": "has the four colours of print",
        "blank": "shows nothing but one colour",
    }[note]
