"""Read a classification data set whose labels stand in CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.formats.csv.columns import NO, YES, Columns, find_columns, parts, require_columns
from visionkit.data.formats.csv.files import read_rows
from visionkit.data.formats.csv.images import NamedImages
from visionkit.data.formats.csv.table import Row, Table
from visionkit.data.pictures.files import ImageFiles
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records
from visionkit.data.report import Report
from visionkit.data.strings import Strings
from visionkit.errors import DataError
from visionkit.types import Classes


class _Item(NamedTuple):
    """A row that can be used."""

    row: Row
    name: str  # the image's path relative to the root
    labels: tuple[str, ...]


class CSVLabels(Reader):
    """Reads images and labels from a table with a split column or none, or from a table a split.

    Columns are told by what they hold and what they are called (`images`, `columns`), unless `image` and
    `label` name them. One label a cell gives `labels`; several a cell, parted by `separator`, or several columns of 0
    and 1 give `multilabel`, where an empty cell means none. `separator` None looks for `|`, `;` or `,` in the cells; an
    empty one says that a cell holds one label. Class names go by code point over all splits; those of columns of 0 and
    1 are the columns' in their order. A column called group, patient or subject says what may not be cut apart.
    """

    def __init__(
        self,
        root: str,
        image: str | None = None,
        label: str | Sequence[str] | None = None,
        separator: str | None = None,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.image = image
        self.label = label if label is None or isinstance(label, str) else tuple(str(name) for name in label)
        self.separator = None if separator is None else separator.strip()
        self._table: Table | None = None
        self._found: tuple[Columns, list[_Item]] | None = None

    def splits(self) -> tuple[str, ...]:
        """Return the splits that files or a column name, or `UNSPLIT`."""
        found = {row.split for row in self._rows().rows}
        return tuple(split for split in SPLITS if split in found) or UNSPLIT

    def read(self, split: str) -> Records:
        """Return one split with `labels` or `multilabel`."""
        listing.require_split(split, self.splits(), self.root)
        columns, everything = self._items()
        classes = columns.labels if columns.flags else tuple(sorted({name for i in everything for name in i.labels}))
        if not classes:
            raise DataError(f"{self._rows().path}: no row has a label in the column {columns.labels[0]}")
        number = {name: index for index, name in enumerate(classes)}
        items = [item for item in everything if split in (item.row.split, *UNSPLIT)]
        names = Strings(item.name for item in items)
        group = columns.group
        labels: NDArray[np.int64] | None = None
        multilabel: NDArray[np.uint8] | None = None
        if columns.several:
            multilabel = np.zeros((len(items), len(classes)), dtype=np.uint8)
            for row, item in enumerate(items):
                multilabel[row, [number[name] for name in item.labels]] = 1
        else:
            labels = np.asarray([number[item.labels[0]] for item in items], dtype=np.int64)
        return Records(
            images=ImageFiles(self.root, names),
            names=names,
            classes=Classes(labels=classes),
            labels=labels,
            multilabel=multilabel,
            groups=None if group is None else Strings(item.row.cells[group] or item.name for item in items),
        )

    def _rows(self) -> Table:
        """Return the rows of all files, read once."""
        if self._table is None:
            labels = (self.label,) if isinstance(self.label, str) else self.label or ()
            taken = [*labels, *([self.image] if self.image else [])]
            self._table = read_rows(self.root, taken, self.report)
        return self._table

    def _items(self) -> tuple[Columns, list[_Item]]:
        """Return what the columns hold, and the rows that can be used; found once."""
        if self._found is None:
            table = self._rows()
            images = NamedImages(self.root)
            if self.image is not None:
                require_columns(table, [self.image], "data.image")
            image = self.image or images.column(table)
            columns = find_columns(table, image, self.label, self.separator)
            items = []
            for row in table.rows:
                name = self._image(images, row, image)
                labels = self._labels(row, columns)
                if name is not None and labels is not None:
                    items.append(_Item(row, name, labels))
            self._found = columns, self._once(items)
        return self._found

    def _image(self, images: NamedImages, row: Row, column: str) -> str | None:
        """Return the path of a row's image, or None where it cannot be used."""
        cell = row.cells[column]
        name = images.find(cell, row.split, row.where, self.report)
        if name is None and listing.inside(self.root, cell, row.where, Report(lenient=True)) is not None:
            self.report.error("image_missing", row.where, f"names the image {cell!r}, which is not there")
        return name

    def _labels(self, row: Row, columns: Columns) -> tuple[str, ...] | None:
        """Return the labels of a row, or None where it cannot be used."""
        if columns.flags:
            cells = {name: row.cells[name].casefold() for name in columns.labels}
            if wrong := [name for name, cell in cells.items() if cell not in YES | NO]:
                text = f"has {row.cells[wrong[0]]!r} in the column {wrong[0]}; 0 and 1 are allowed"
                self.report.error("bad_annotation", row.where, text)
                return None
            return tuple(name for name, cell in cells.items() if cell in YES)
        found = parts(row, columns)
        if not found and not columns.several:
            text = "has no label; give it one, or where images may have none or several say data.separator='|'"
            self.report.error("label_missing", row.where, text)
            return None
        return found

    def _once(self, items: list[_Item]) -> list[_Item]:
        """Return the items without those whose image a row above names, in the same file."""
        seen: dict[tuple[str, str], _Item] = {}
        for item in items:
            file = item.row.where.rpartition(", line ")[0]
            if seen.setdefault((file, item.name), item) is not item:
                text = f"names the image {item.name!r} a second time; write one line for each, with all of its labels"
                self.report.error("duplicate_image", item.row.where, text)
        return list(seen.values())
