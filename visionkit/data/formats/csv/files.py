"""Find the CSV files of a data set, and read their rows with the split that each belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from visionkit.data.formats import listing
from visionkit.data.formats.csv.columns import require_columns, split_column
from visionkit.data.formats.csv.table import Row, Table, read_table
from visionkit.data.report import Report
from visionkit.errors import DataError

LAYOUTS: Final = "labels.csv (or any one .csv file), or a file a split: train.csv and val.csv, or names that end so"

WORDS: Final = {word: split for split, words in listing.SPLIT_FOLDERS.items() for word in words}
"""The splits by all that they are called."""


def read_rows(root: Path, taken: Sequence[str], report: Report) -> Table:
    """Return the rows of all files of a data set as one table, with their splits where files or a column name them.

    `taken` are the columns that settings give another meaning than the split.

    Raises:
        DataError: There is no file, or several that may be it, or they differ in their columns.
    """
    tables = {split: read_table(path, report) for split, path in _files(root).items()}
    first = next(iter(tables.values()))
    for table in tables.values():
        require_columns(table, first.columns, f"which {first.path.name} has")
    rows = []
    for split, table in tables.items():
        column = None if split else split_column(table, taken)
        for row in table.rows:
            named = split if column is None else _split(row, column, report)
            if named is not None or column is None:
                rows.append(row._replace(split=named))
    return first._replace(rows=rows)


def _split(row: Row, column: str, report: Report) -> str | None:
    word = row.cells[column]
    if word.casefold() not in WORDS:
        report.error("bad_annotation", row.where, f"has the {column} {word!r}; it is one of {', '.join(WORDS)}")
        return None
    return WORDS[word.casefold()]


def _files(root: Path) -> dict[str | None, Path]:
    """Return the file of each split, or one of None."""
    listing.require_root(root, LAYOUTS)
    found = sorted(path for path in root.iterdir() if path.suffix.lower() in (".csv", ".tsv") and path.is_file())
    split_files: dict[str | None, Path] = {}
    for path in found:
        words = re.split(r"[\W_]+", path.stem.casefold())
        split = WORDS.get(words[-1]) or WORDS.get(words[0])
        if split in split_files:
            raise DataError(
                f"{root}: {split_files[split].name} and {path.name} both name {split}; remove or rename one"
            )
        if split:
            split_files[split] = path
    if split_files:
        return split_files
    usual = [path for path in found if path.stem.casefold() == "labels"]
    if len(found) != 1 and len(usual) != 1:
        names = ", ".join(path.name for path in found) or "no .csv file"
        raise DataError(f"{root}: holds {names}; lay it out as {LAYOUTS}")
    return {None: (usual or found)[0]}
