"""Choose what a run sees of a data set: its splits, as the format names them or cut here, its classes, how much."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from visionkit.config import values
from visionkit.data.pictures.window import Window, through
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records, joined
from visionkit.data.selection import folds
from visionkit.data.selection.class_map import apply_map
from visionkit.data.selection.shown import shown, with_the_untold
from visionkit.data.selection.subset import few
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError

log = logging.getLogger(__name__)

CUT = ("train", "val")
"""What is cut here; a test split is never cut."""

NUM_FOLDS = 5
"""One in five images validates where no fold is given."""


class Selection(Mapping[str, Records]):
    """The records of a reader by split; a split is read when first asked for, and once.

    Args:
        reader: What reads the data set.
        split: `given` takes the splits that the format names, and cuts into train and val where it names none; `auto`
            puts train and val of the format together and cuts them anew.
        fold: `k/n`: the k-th of n folds validates, the others train. None is the first of `NUM_FOLDS`, or of as many as
            there are images or groups.
        group: A regular expression that is found in the name of every image: what its first group, or without one all
            of it, matches names what is not cut apart. None takes the groups of the format, or each image by itself.
        classes: The classes to keep, a list or new names with those that they stand for; None for all. The cut does
            not depend on it.
        limit: The most images of each split, evenly over the classes; None for all.
        background: Index into the new mask classes that pixels of other classes get; None makes them void.
        window: What becomes of the images' values; None for RGB of 8 bits.
        kinds: The kinds of labels that `classes` speaks of; without any, those that have all these classes.

    Cutting is the same on every machine: `folds.cut`, by the classes that `shown` finds.

    Raises:
        ConfigError: A value is not what its key takes, also later, when the data set turns out not to have a class.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        split: str = "given",
        fold: str | None = None,
        group: str | None = None,
        classes: Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
        limit: int | None = None,
        background: int | None = None,
        window: Window | None = None,
        kinds: Sequence[str] = (),
    ) -> None:
        self.reader = reader
        self.anew = split == "auto"
        self.fold = None if fold is None else values.fold(fold)
        self.group = None if group is None else values.pattern(group)
        self.wanted = None if classes is None else values.chosen_classes(classes)
        self.limit = limit
        self.window = window
        self.background = background
        self.kinds = tuple(kinds)
        self._read: dict[str, Records] = {}
        if self.wanted is not None and background is not None and "mask" in kinds:
            named = dict(enumerate(self.wanted)).get(background, "no class")
            log.warning(
                "data.background=%s is %s of data.classes: mask pixels of classes that it leaves out become that; "
                "data.background=null makes them void",
                background,
                named,
            )

    def __getitem__(self, split: str) -> Records:
        if split not in self:
            raise DataError(f"the data has no split {split!r}; it has {', '.join(self.splits())}")
        if split not in self._read:
            parts = self._cut() if self._cuts() and split in CUT else {split: self._records(split)}
            self._read |= {name: self._narrow(name, records) for name, records in parts.items()}
            self.reader.report.tell()
        return self._read[split]

    def _records(self, split: str) -> Records:
        records = self.reader.read(split)
        return records if self.window is None else replace(records, images=through(records.images, self.window))

    def __contains__(self, split: object) -> bool:
        return split in self._read or split in self.splits()

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits())

    def __len__(self) -> int:
        return len(self.splits())

    def splits(self) -> tuple[str, ...]:
        """Return those of train, val and test that there are.

        Raises ConfigError for a fold or groups where nothing is cut.
        """
        splits = self.reader.splits()
        if self._cuts():
            return (*CUT, *(split for split in splits if split == "test"))
        for key, value in (("fold", self.fold), ("group", self.group)):
            if value is not None:
                text = f"{value[0]}/{value[1]}" if isinstance(value, tuple) else value.pattern
                raise ConfigError(
                    f"data.{key}={text} is for data that are cut here, but these name their splits "
                    f"({', '.join(splits)}); add data.split=auto to cut train and val anew, or leave it out"
                )
        return splits

    def _cuts(self) -> bool:
        return self.anew or self.reader.splits() == UNSPLIT

    def _cut(self) -> dict[str, Records]:
        """Return `train` and `val` out of all samples but those of a test split that the format names."""
        splits = [split for split in self.reader.splits() if split != "test"]
        if not splits:
            raise DataError("the data have a test split only; there is nothing to cut into train and val")
        records = joined([self._records(split) for split in splits])
        names = list(records.names)
        if len(set(names)) < len(names):  # listed in both splits: it would train and validate
            first = {name: index for index, name in reversed(list(enumerate(names)))}
            records = records.take(np.asarray(sorted(first.values()), dtype=np.int64))
        fold, number = self._folds(records)
        return {
            "train": records.take(np.flatnonzero(number != fold)),
            "val": records.take(np.flatnonzero(number == fold)),
        }

    def _folds(self, records: Records) -> tuple[int, NDArray[np.int64]]:
        """Return the number of the fold that validates, from 0 on, and the fold of each image."""
        groups = records.groups if self.group is None else _groups(records.names, self.group)
        item = folds.items(list(records.names if groups is None else groups))
        num_items = len(np.unique(item))
        number, of = self.fold or (1, max(2, min(NUM_FOLDS, num_items)))
        if num_items < of:
            what = f"{'image' if groups is None else 'group'}{'' if num_items == 1 else 's'}"
            fewer = f"give data.fold=1/{num_items} or" if num_items > 1 else "add images, or"
            raise DataError(f"{num_items} {what} cannot be cut into {of} folds; {fewer} name train and val yourself")
        return number - 1, folds.cut(item, with_the_untold(shown(records)), of)

    def _narrow(self, split: str, records: Records) -> Records:
        """Return the records with the chosen classes, and no more of them than the limit."""
        if self.wanted is not None:
            records = apply_map(records, self.wanted, self.kinds, self.background)
            if not len(records):
                raise DataError(f"the split {split} has no image of data.classes: {', '.join(self.wanted)}")
        if self.limit is not None and self.limit < len(records):
            records = records.take(few(records.names, shown(records), self.limit))
        return records


def _groups(names: Strings, pattern: re.Pattern[str]) -> Strings:
    """Return what a pattern finds in each name. Raises ConfigError when it finds nothing in some."""
    found = [pattern.search(name) for name in names]
    if lacking := [name for name, match in zip(names, found, strict=True) if match is None]:
        raise ConfigError(
            f"data.group={pattern.pattern} is not found in {len(lacking)} of {len(names)} image names, such as "
            f"{lacking[0]}; add |.* at its end for images that stand alone"
        )
    return Strings((match[1] if pattern.groups else None) or match[0] for match in found if match)
