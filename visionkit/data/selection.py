"""Choose what a run sees of a data set: its splits, as the format names them or cut here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from visionkit.data import listing
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records
from visionkit.errors import DataError


class Selection(Mapping[str, Records]):
    """The records of a reader by split; a split is read when first asked for, and once.

    Where the format names no splits, a fixed 80 % of the images are `train` and 20 % `val` (`listing.cut`), each class
    by itself where an image has one.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._read: dict[str, Records] = {}

    def __getitem__(self, split: str) -> Records:
        if split not in self:
            raise DataError(f"the data has no split {split!r}; it has {', '.join(self.splits())}")
        if split not in self._read:
            if self.reader.splits() == UNSPLIT:
                self._read |= _cut(self.reader.read(UNSPLIT[0]))
            else:
                self._read[split] = self.reader.read(split)
            self.reader.report.tell()
        return self._read[split]

    def __contains__(self, split: object) -> bool:
        return split in self._read or split in self.splits()

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits())

    def __len__(self) -> int:
        return len(self.splits())

    def splits(self) -> tuple[str, ...]:
        """Return those of train, val and test that there are."""
        splits = self.reader.splits()
        return ("train", "val") if splits == UNSPLIT else splits


def _cut(records: Records) -> dict[str, Records]:
    """Return `train` and `val` out of all samples."""
    labels = np.zeros(len(records), dtype=np.int64) if records.labels is None else records.labels
    parts: dict[str, list[NDArray[np.int64]]] = {"train": [], "val": []}
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == label)
        number = {records.names[int(row)]: row for row in rows}
        for split, chosen in parts.items():
            chosen.append(np.asarray([number[name] for name in listing.cut(number, split)], dtype=np.int64))
    return {split: records.take(np.sort(np.concatenate(chosen))) for split, chosen in parts.items()}
