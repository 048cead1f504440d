"""Find the images that the cells of a table name."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from visionkit.data.formats import listing
from visionkit.data.formats.csv.table import Table
from visionkit.data.report import Report
from visionkit.errors import DataError

TRIED: Final = 50
"""Rows that are looked at to find out which column names the images."""


class NamedImages:
    """Images below a root by what a table calls them: with or without their folder, their split and their suffix."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[str, dict[str, str]] = {}  # by folder: files by name, with and without suffix

    def find(self, cell: str, split: str | None, where: str, report: Report) -> str | None:
        """Return the path relative to the root, or None: outside the root, which is an error of `where`, or not there.

        It is looked for in the root, in `images`, and in the folders of its split.
        """
        name = listing.inside(self.root, cell, where, report) if cell else None
        if name is None:
            return None
        return next((found for path in _places(name, split) if (found := self._file(path))), None)

    def column(self, table: Table) -> str:
        """Return the column most of whose first cells name images. Raises DataError when none does."""
        quiet = Report(lenient=True)
        rows = table.rows[:TRIED]
        if wrong := [name for name in table.columns if self.find(name, rows[0].split, "", quiet)]:
            raise DataError(
                f"{table.path}, line 1: holds the image {wrong[0]!r} where the names of the columns belong; begin the "
                f"file with a line such as image,label"
            )
        hits = {
            name: sum(self.find(row.cells[name], row.split, row.where, quiet) is not None for row in rows)
            for name in table.columns
        }
        best = max(hits, key=lambda name: hits[name])
        if not hits[best]:
            raise DataError(
                f"{table.path}: no column names images that are there; looked for "
                f"{', '.join(map(repr, rows[0].cells.values()))} in {self.root}, in images and in the splits' folders; "
                f"set data.root to the folder that holds them, or data.image to their column"
            )
        return best

    def _file(self, path: str) -> str | None:
        folder, name = posixpath.split(path)
        if folder not in self._listed:
            there = self.root / folder
            files = listing.images(there) if there.is_dir() else []
            self._listed[folder] = {Path(file).stem: file for file in files} | {file: file for file in files}
        found = self._listed[folder].get(name)
        return None if found is None else posixpath.join(folder, found)


def _places(name: str, split: str | None) -> Iterator[str]:
    """Yield where an image may lie, seen from the root."""
    yield name
    yield f"images/{name}"
    for folder in listing.SPLIT_FOLDERS.get(split or "", ()):
        yield from (f"{folder}/{name}", f"images/{folder}/{name}", f"{folder}/images/{name}")
