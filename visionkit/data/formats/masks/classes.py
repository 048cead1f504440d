"""Find out what the values or colours of masks mean: from lists in the data set's folder, or from the settings."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from visionkit.data.formats import listing
from visionkit.errors import ConfigError, DataError
from visionkit.types import IGNORE_INDEX

LISTS: Final = ("classes.txt", "labelmap.txt", "class_dict.csv")
"""Files that may name the classes, in the order in which they are looked for."""

VOID: Final = frozenset({"void", "unlabelled", "unlabeled", "ignore"})
"""Names of colours that are no class: their pixels become 255."""

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_WITH_COLOUR: Final = re.compile(r"(?P<name>[^:]+):\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(:.*)?")


class MaskClasses(NamedTuple):
    """The names of the classes and, where masks are painted, what each colour means."""

    names: tuple[str, ...]
    colours: dict[Colour, int] | None = None  # class number, 255 = void; None: masks hold the numbers themselves


def listed_classes(root: Path) -> MaskClasses | None:
    """Return what a list in the data set's folder says, or None where there is none.

    `classes.txt` and `labelmap.txt` hold a name a line, or `name:red,green,blue::` as CVAT writes it; `class_dict.csv`
    the columns name, r, g and b of CamVid.

    Raises:
        DataError: A list cannot be read; with its line.
    """
    for name in LISTS:
        path = root / name
        if path.is_file():
            lines = listing.text(path).splitlines()
            return _table(path, lines) if path.suffix == ".csv" else _lines(path, lines)
    return None


def painted_classes(colours: Iterable[tuple[str, Colour, str]]) -> MaskClasses:
    """Return the classes of (name, colour, where it is said), in that order.

    A colour called void, unlabelled or ignore is no class but 255, and so is black unless it is listed. Several colours
    may have one name.

    Raises:
        DataError: A colour has two names, or a number is none of a colour.
    """
    names: dict[str, int] = {}
    values: dict[Colour, int] = {}
    for name, colour, where in colours:
        if any(not 0 <= number <= 255 for number in colour):
            raise DataError(f"{where}: {list(colour)} is no colour; red, green and blue are numbers from 0 to 255")
        value = IGNORE_INDEX if name.casefold() in VOID else names.setdefault(name, len(names))
        if values.setdefault(colour, value) != value:
            raise DataError(f"{where}: {name!r} has the colour {list(colour)}, which another class has already")
    values.setdefault((0, 0, 0), IGNORE_INDEX)
    return MaskClasses(tuple(names), values)


def given_colours(colours: Mapping[str, Sequence[int]]) -> MaskClasses:
    """Return the classes of the setting `data.colours`. Raises ConfigError for what is no colour."""
    for name, colour in colours.items():
        whole = isinstance(colour, Sequence) and all(type(part) is int and 0 <= part <= 255 for part in colour)
        if not whole or len(colour) != 3:
            raise ConfigError(
                f"data.colours.{name}={colour} is no colour; write red, green and blue from 0 to 255, such as [128,0,0]"
            )
    return painted_classes(
        (str(name), (red, green, blue), f"data.colours.{name}") for name, (red, green, blue) in colours.items()
    )


def _lines(path: Path, lines: list[str]) -> MaskClasses:
    rows = [(f"{path}, line {number}", line.strip()) for number, line in enumerate(lines, 1)]
    rows = [(where, line) for where, line in rows if line and not line.startswith("#")]
    matches = [_WITH_COLOUR.fullmatch(line) for _, line in rows]
    if not any(matches):
        return MaskClasses(tuple(line for _, line in rows))
    colours = []
    for (where, line), match in zip(rows, matches, strict=True):
        if match is None:
            raise DataError(f"{where}: {line!r} has no colour, but other lines have; write name:red,green,blue")
        colours.append((match["name"].strip(), (int(match[2]), int(match[3]), int(match[4])), where))
    return painted_classes(colours)


def _table(path: Path, lines: list[str]) -> MaskClasses:
    table = csv.DictReader(lines, skipinitialspace=True)
    table.fieldnames = [name.strip().casefold() for name in table.fieldnames or ()]
    if lacking := [name for name in ("name", "r", "g", "b") if name not in table.fieldnames]:
        raise DataError(f"{path}, line 1: has no column {', '.join(lacking)}; it needs name, r, g and b")
    colours = []
    for row in table:
        where = f"{path}, line {table.line_num}"
        try:
            colours.append((row["name"].strip(), (int(row["r"]), int(row["g"]), int(row["b"])), where))
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}: {list(row.values())} is no name with three numbers; correct the line") from error
    return painted_classes(colours)
