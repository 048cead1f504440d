"""Read a CSV file as people's tools write it, and name what is broken by its line."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final, NamedTuple

from visionkit.data.formats import listing
from visionkit.data.report import Report
from visionkit.errors import DataError

DELIMITERS: Final = (",", ";", "\t")


class Row(NamedTuple):
    """One line of a table."""

    where: str  # the file and the line, for messages
    cells: dict[str, str]  # by column, without blanks around
    split: str | None = None  # where a split is named


class Table(NamedTuple):
    """The named columns of a CSV file, and its rows."""

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]


def read_table(path: Path, report: Report) -> Table:
    """Return a CSV file whose first line names its columns.

    Cells are parted by what the first line holds most of: commas, semicolons or tabs. A byte order mark and empty lines
    are passed over, and so is a column without a name, which is the numbering that pandas writes.

    Raises:
        DataError: The file is no UTF-8 text, has no columns, or a quote is not closed.
    """
    text = listing.text(path)
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=head.count), strict=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
        named = [name for name in columns if name]
        if not named:
            raise DataError(f"{path}, line 1: names no columns; begin the file with a line such as image,label")
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise DataError(f"{path}, line 1: has two columns {twice!r}; rename one")
        rows = []
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                report.error("bad_annotation", where, f"holds {len(cells)} cells, but line 1 names {len(columns)}")
                continue
            rows.append(Row(where, {name: cell.strip() for name, cell in zip(columns, cells, strict=True) if name}))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: is no valid CSV ({error}); repair the line") from error
    if not rows:
        raise DataError(f"{path}: holds no rows; add a line for each image")
    return Table(path, tuple(named), rows)
