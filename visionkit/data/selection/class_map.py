"""Select, merge and rename the classes of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionkit.data.pixels import Pixels
from visionkit.data.records import Records
from visionkit.data.selection.recoded import Recoded
from visionkit.errors import ConfigError
from visionkit.suggest import closest
from visionkit.types import IGNORE_INDEX, LABEL_KINDS, Classes

Wanted = Mapping[str, Sequence[str]]
"""The classes that a run keeps, in their order: each by its new name, with the names that the data set has for it."""

FIELDS: Final = {"labels": "labels", "multilabel": "labels", "mask": "mask", "boxes": "boxes"}
"""In which field of `Classes` the names of a kind of label stand."""


def apply_map(records: Records, wanted: Wanted, kinds: Sequence[str], background: int | None) -> Records:
    """Return records with the classes `wanted` only, in the labels of `kinds`; the names of others stay as they are.

    Without `kinds` it is those labels whose classes have all the names. Images whose label is of another class are
    left out; in a set of labels, and among boxes, what is of other classes goes and the image stays. Mask pixels of
    other classes become `background`, an index into the new classes, or void where that is None.

    Raises:
        ConfigError: The data set has no class of a name, or `background` is none of the new classes.
    """
    for field in dict.fromkeys(_fields(records.classes, wanted, kinds)):
        names: tuple[str, ...] = getattr(records.classes, field)
        table = _table(names, wanted)
        classes = records.classes._replace(**{field: tuple(wanted)})
        if field == "mask":
            records = replace(records, classes=classes, masks=_masks(records.masks, table, len(wanted), background))
        elif field == "boxes":
            records = replace(records, classes=classes, **_boxes(records, table))
        else:
            records = _image_labels(records, classes, table, drop="labels" in kinds or records.multilabel is None)
    return records


def _fields(classes: Classes, wanted: Wanted, kinds: Sequence[str]) -> list[str]:
    there = {field: names for field, names in classes._asdict().items() if names}
    if asked := [FIELDS[kind] for kind in kinds if kind in FIELDS]:
        return [field for field in asked if field in there]
    old = {name for sources in wanted.values() for name in sources}
    knowing = [field for field, names in there.items() if old <= set(names)]
    if not knowing and there:  # let the one that knows most say what is missing
        return [max(there, key=lambda field: len(old & set(there[field])))]
    return knowing


def _table(names: tuple[str, ...], wanted: Wanted) -> NDArray[np.int64]:
    """Return the new number of each class, -1 for those that go."""
    table = np.full(len(names), -1, dtype=np.int64)
    for new, sources in enumerate(wanted.values()):
        for name in sources:
            if name not in names:
                close = closest(name, names)
                meant = f"did you mean {close!r}? " if close else ""
                raise ConfigError(
                    f"data.classes: the data have no class {name!r}; {meant}the classes are {', '.join(names)}"
                )
            table[names.index(name)] = new
    return table


def _image_labels(records: Records, classes: Classes, table: NDArray[np.int64], drop: bool) -> Records:
    """Return records with new labels and sets of labels.

    `drop` leaves out the images whose label goes; otherwise they only carry no label any more.
    """
    fields: dict[str, Any] = {}
    if records.multilabel is not None:
        fields["multilabel"] = np.zeros((len(records), int(table.max()) + 1), dtype=np.uint8)
        for old in np.flatnonzero(table >= 0):
            fields["multilabel"][:, table[old]] |= records.multilabel[:, old]
    if records.labels is None:
        return replace(records, classes=classes, **fields)
    column = LABEL_KINDS.index("labels")
    labels = table[records.labels]
    gone = (labels < 0) & records.present[:, column]
    present = records.present.copy()
    present[gone, column] = False
    made = replace(records, classes=classes, labels=np.maximum(labels, 0), present=present, **fields)
    return made.take(np.flatnonzero(~gone)) if drop else made


def _masks(masks: Pixels | None, table: NDArray[np.int64], num_new: int, background: int | None) -> Pixels | None:
    if background is not None and background >= num_new:
        raise ConfigError(
            f"data.background={background} is none of the {num_new} classes of data.classes, which it counts from 0; "
            f"give 0 to {num_new - 1} or null"
        )
    if masks is None:
        return None
    values = np.full(IGNORE_INDEX + 1, IGNORE_INDEX, dtype=np.uint8)
    values[: len(table)] = np.where(table >= 0, table, IGNORE_INDEX if background is None else background)
    return Recoded(masks, values)


def _boxes(records: Records, table: NDArray[np.int64]) -> dict[str, Any]:
    """Return the fields of the boxes that stay; instance maps are numbered anew."""
    if records.boxes is None or records.box_label is None or records.box_ignore is None or records.box_start is None:
        return {}
    label = table[records.box_label]
    keep = label >= 0
    before = np.concatenate([[0], np.cumsum(keep)])
    fields: dict[str, Any] = {
        "boxes": records.boxes[keep],
        "box_label": label[keep],
        "box_ignore": records.box_ignore[keep],
        "box_start": before[records.box_start],
    }
    if records.instances is not None:
        first = np.repeat(before[records.box_start[:-1]], np.diff(records.box_start))
        rank = np.where(keep, before[1:] - first, 0)  # 1, 2, ... of the boxes that stay in an image
        values = np.insert(rank, records.box_start[:-1], 0)  # no instance stays none
        dtype = np.uint8 if values.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16
        start = records.box_start + np.arange(len(records) + 1)
        fields["instances"] = Recoded(records.instances, values.astype(dtype), start)
    return fields
