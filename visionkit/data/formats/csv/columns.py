"""Tell which columns of a table are images, labels, splits and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from visionkit.data.formats.csv.table import Row, Table
from visionkit.errors import DataError

SPLIT_COLUMNS: Final = ("split", "set", "subset", "partition")
GROUP_COLUMNS: Final = ("group", "patient", "patient_id", "subject", "subject_id")
LABEL_COLUMNS: Final = ("label", "labels", "class", "classes", "category", "target", "tags")
"""What columns are called, in any case of letters."""

SEPARATORS: Final = ("|", ";", ",")
"""What parts several labels in one cell, in the order in which it is looked for."""

YES, NO = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false", ""})
"""Cells of a column that says whether an image has a label."""


class Columns(NamedTuple):
    """The columns of a table by what they hold."""

    labels: tuple[str, ...]
    flags: bool  # the labels are the columns' names, and their cells say yes or no
    separator: str  # between several labels in a cell; empty where a cell holds one
    group: str | None

    @property
    def several(self) -> bool:
        """Whether an image may have none, one or more labels."""
        return self.flags or bool(self.separator)


def split_column(table: Table, taken: Sequence[str]) -> str | None:
    """Return the column that is called as splits are, if it is not `taken` by a setting."""
    return next((name for name in table.columns if name.casefold() in SPLIT_COLUMNS and name not in taken), None)


def find_columns(table: Table, image: str, label: str | Sequence[str] | None, separator: str | None) -> Columns:
    """Return what the columns beside that of the images hold, given what the settings say.

    Without `label` the labels are the only column of text, or all columns when those are several of 0 and 1; of several
    columns of text the one that is called so. `separator` None looks for one in the cells.

    Raises:
        DataError: There is no column for the labels, or several that may be it.
    """
    given = () if label is None else (label,) if isinstance(label, str) else tuple(label)
    require_columns(table, given, "data.label")
    free = [name for name in table.columns if name not in (image, *given)]
    group = next((name for name in free if name.casefold() in GROUP_COLUMNS), None)
    rest = [name for name in free if name != group and name.casefold() not in SPLIT_COLUMNS]
    labels, flags = (given, not isinstance(label, str)) if given else _labels(table, rest)
    if not flags and separator is None:
        cells = [row.cells[labels[0]] for row in table.rows]
        separator = next((sign for sign in SEPARATORS if any(sign in cell for cell in cells)), "")
    return Columns(labels, flags, separator or "", group)


def require_columns(table: Table, names: Sequence[str], key: str) -> None:
    """Raise DataError when the table lacks a column that a setting names."""
    if lacking := [name for name in names if name not in table.columns]:
        raise DataError(f"{table.path}: has no column {lacking[0]!r} ({key}); it has {', '.join(table.columns)}")


def _labels(table: Table, rest: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    if not rest:
        raise DataError(f"{table.path}: has no column of labels; it has {', '.join(table.columns)}")
    if len(rest) == 1:
        return (rest[0],), False
    if all(row.cells[name].casefold() in YES | NO for row in table.rows for name in rest):
        return tuple(rest), True
    called = [name for name in rest if name.casefold() in LABEL_COLUMNS]
    if len(called) == 1:
        return (called[0],), False
    raise DataError(
        f"{table.path}: any of {', '.join(rest)} may hold the labels; say which: data.label={rest[0]}, or "
        f"data.label=[{','.join(rest[:2])}] for columns of 0 and 1"
    )


def parts(row: Row, columns: Columns) -> tuple[str, ...]:
    """Return the labels in the cell of a row, each once, in their order."""
    cell = row.cells[columns.labels[0]]
    found = cell.split(columns.separator) if columns.separator else [cell]
    return tuple(dict.fromkeys(part.strip() for part in found if part.strip()))
