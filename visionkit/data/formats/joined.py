"""Join several data sets to one, each of which may bring some kinds of labels only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from visionkit.config.values import SPLITS
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records, joined
from visionkit.data.selection.class_map import FIELDS
from visionkit.data.selection.selection import Selection
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.suggest import did_you_mean
from visionkit.types import LABEL_KINDS, Classes

ARRAYS: Final = {
    "labels": ("labels",),
    "multilabel": ("multilabel",),
    "mask": ("masks",),
    "boxes": ("boxes", "box_label", "box_ignore", "box_start", "instances"),
}
"""The fields of `Records` by the kind of label that they hold."""


class Joined(Reader):
    """Reads data sets, by name, one after the other; a sample carries the labels that its own data set has.

    Names of samples and of groups have the name of their part in front. A split holds what the parts have of it; where
    some parts name splits, one that names none is cut into train and val by itself. `kinds` says of a part which kinds
    of labels are taken of it; of a part that is not named there it is all.
    """

    def __init__(self, parts: Mapping[str, Reader], kinds: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__()
        given = "give each part a name with the _target_ and the arguments of its reader"
        if not parts:
            raise ConfigError(f"data.parts names no data set; {given}")
        for name, part in parts.items():
            if not isinstance(part, Reader):
                raise ConfigError(f"data.parts.{name} is no reader; {given}")
        for name, taken in (kinds or {}).items():
            if name not in parts:
                raise ConfigError(f"data.kinds.{name}: there is no such part; {did_you_mean(name, parts)}")
            if not taken or isinstance(taken, str) or not set(taken) <= set(LABEL_KINDS):
                raise ConfigError(f"data.kinds.{name}={taken}; give a list out of {', '.join(LABEL_KINDS)}")
        self.parts = dict(parts)
        self.kinds = {name: tuple(taken) for name, taken in (kinds or {}).items()}
        for part in self.parts.values():
            part.report = self.report

    def splits(self) -> tuple[str, ...]:
        """Return the splits that a part has, or `UNSPLIT` where none names any."""
        if all(part.splits() == UNSPLIT for part in self.parts.values()):
            return UNSPLIT
        return tuple(split for split in SPLITS if any(split in Selection(part) for part in self.parts.values()))

    def read(self, split: str) -> Records:
        """Return one split. Raises DataError where parts name different classes of one kind."""
        read = {name: self._part(name, split) for name in self.parts}
        classes = Classes(**{field: _agreed(read, field) for field in Classes._fields})
        return joined([replace(records, classes=classes) for records in read.values()])

    def _part(self, name: str, split: str) -> Records:
        """Return what a part has of a split, with its name in front; no sample, but its classes, where it has none."""
        part: Mapping[str, Records] = Selection(self.parts[name])
        if split == UNSPLIT[0]:
            records = self.parts[name].read(split)
        elif split in part:
            records = part[split]
        else:
            records = part[next(iter(part))].take(np.empty(0, dtype=np.int64))
        groups = None if records.groups is None else Strings(f"{name}/{group}" for group in records.groups)
        records = replace(records, names=Strings(f"{name}/{own}" for own in records.names), groups=groups)
        return only(records, self.kinds[name]) if name in self.kinds else records


def only(records: Records, kinds: Sequence[str]) -> Records:
    """Return records without the labels of other kinds."""
    present = records.present.copy()
    fields: dict[str, Any] = {}
    for column, kind in enumerate(LABEL_KINDS):
        if kind not in kinds:
            present[:, column] = False
            fields |= dict.fromkeys(ARRAYS[kind])
    gone = set(Classes._fields) - {FIELDS[kind] for kind in kinds}
    return replace(records, present=present, classes=records.classes._replace(**dict.fromkeys(gone)), **fields)


def _agreed(read: Mapping[str, Records], field: str) -> tuple[str, ...] | None:
    """Return the classes of a field that all parts with such classes name."""
    named = {name: found for name, records in read.items() if (found := getattr(records.classes, field))}
    if len(set(named.values())) > 1:
        first, other = next((a, b) for a in named for b in named if named[a] != named[b])
        kinds = [kind for kind in LABEL_KINDS if FIELDS[kind] == field and kind in read[other].kinds]
        others = [kind for kind in read[other].kinds if kind not in kinds] or ["..."]
        raise DataError(
            f"data.parts: the classes of {' and '.join(kinds) or field} are {', '.join(named[first])} in {first} but "
            f"{', '.join(named[other])} in {other}; they have to be the same in the same order, as one head learns "
            f"them: name them alike in the files, or leave these labels of one part out, as by "
            f"data.kinds={{{other}:[{','.join(others)}]}}"
        )
    return next(iter(named.values()), None)
