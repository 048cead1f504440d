"""Read the label files of YOLO's format: a line an object, a box or a polygon in fractions of the image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visionkit.data.report import Report

LITTLE: Final = 0.01
"""How far beyond 0 to 1 a fraction may be: rounding, and shapes that end just outside."""


class Row(NamedTuple):
    """One object."""

    label: int
    line: int
    values: list[float]  # centre x, centre y, width, height; or x and y of each corner


class Rows(NamedTuple):
    """The M objects of N images in arrays."""

    start: NDArray[np.int64]  # (N + 1,) rows of each image
    labels: NDArray[np.int64]  # (M,)
    lines: NDArray[np.int64]  # (M,) of the label file
    values: NDArray[np.float64]  # those of all rows, one behind the other
    value_start: NDArray[np.int64]  # (M + 1,)

    @property
    def polygon(self) -> NDArray[np.bool_]:
        """(M,) Which rows are polygons."""
        return np.asarray(np.diff(self.value_start) != 4)


def read_labels(path: Path, num_classes: int | None, report: Report) -> list[Row] | None:
    """Return the objects of a label file, or None where a line cannot be read. No file means no objects.

    `num_classes` None lets every number pass. An image with a line that cannot be read is of no use: it would teach
    that nothing is there.
    """
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    rows: list[Row] = []
    broken = False
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        row = _row(parts, number)
        code, problem = ("bad_annotation", row) if isinstance(row, str) else ("unknown_class", "")
        if isinstance(row, Row) and num_classes is not None and row.label >= num_classes:
            problem = f"has the class {row.label}, but there are names for 0 to {num_classes - 1} only"
        if problem:
            broken = True
            report.error(code, f"{path}, line {number}", problem)
        elif isinstance(row, Row):
            rows.append(row)
    return None if broken else rows


def _row(parts: list[str], line: int) -> Row | str:
    """Return the object of a line, or what is wrong with it."""
    if len(parts) != 5 and (len(parts) < 7 or len(parts) % 2 == 0):
        return (
            f"holds {len(parts)} values; a box is `class x y width height`, a polygon `class x1 y1 x2 y2 x3 y3 ...` "
            f"with three corners or more"
        )
    try:
        label, *values = map(float, parts)
    except ValueError:
        return f"holds {' '.join(parts[:8])!r}, which are not all numbers"
    if not label.is_integer() or label < 0:
        return f"has the class {parts[0]}; classes are whole numbers from 0 on"
    if not all(-LITTLE <= value <= 1 + LITTLE for value in values):
        return "holds values outside 0 to 1; they are fractions of the image's width and height, not pixels"
    return Row(int(label), line, values)


def packed(images: Iterable[list[Row]]) -> Rows:
    """Return the objects of images in arrays."""
    images = list(images)
    rows = [row for image in images for row in image]
    return Rows(
        start=np.cumsum([0, *map(len, images)], dtype=np.int64),
        labels=np.asarray([row.label for row in rows], dtype=np.int64),
        lines=np.asarray([row.line for row in rows], dtype=np.int64),
        values=np.asarray([value for row in rows for value in row.values], dtype=np.float64),
        value_start=np.cumsum([0, *(len(row.values) for row in rows)], dtype=np.int64),
    )
