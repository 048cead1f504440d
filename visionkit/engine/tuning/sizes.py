"""Decide which batch sizes to try, and which of them to suggest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

FIRST = 2
"""The smallest batch: batch normalisation cannot learn from one."""

ENOUGH = 0.95
"""Of the best speed: what a smaller batch may lose."""

MARGIN = 0.9
"""Of the largest batch that fits: memory is taken differently in each run, and others may take some too."""

MULTIPLE = 8
"""Batches near the limit are multiples of so many images, for which a GPU's units are made."""


class Row(NamedTuple):
    """What a batch size came to."""

    batch_size: int
    images_per_second: float
    peak_memory: int  # bytes: of the process, or on a GPU what is reserved there


Measure = Callable[[int], Row | None]
"""Tries a batch size; None when it does not fit in memory."""


def by_speed(measure: Measure, most: int, floor: int, limit: int) -> tuple[list[Row], int | None]:
    """Return rows for 2, 4, 8, ... images and the size that did not fit, if one did not.

    The row ends with `most` images; before the peak memory would be above `limit`, when what lies above `floor`, held
    before the first batch, grows as the batch does; or when two doublings in a row have not bettered the best speed.
    """
    rows: list[Row] = []
    size = min(FIRST, most)
    while size <= most:
        if rows and floor + (rows[-1].peak_memory - floor) * size / rows[-1].batch_size > limit:
            break
        row = measure(size)
        if row is None:
            return rows, size
        rows.append(row)
        speeds = [row.images_per_second for row in rows]
        if len(rows) > 2 and max(speeds[-2:]) <= max(speeds[:-2]):
            break
        size *= 2
    return rows, None


def by_memory(measure: Measure, most: int) -> tuple[list[Row], int | None]:
    """Return rows for 2, 4, 8, ... images until one does not fit, or `most`, then for sizes halving the gap.

    They halve it until it is a sixteenth of the batch; the size that did not fit is the smallest known.
    """
    rows: dict[int, Row] = {}
    size, failed = min(FIRST, most), None
    while size <= most:
        row = measure(size)
        if row is None:
            failed = size
            break
        rows[size] = row
        size *= 2
    while rows and failed is not None and failed - max(rows) > max(1, max(rows) // 16):
        size = (max(rows) + failed) // 2
        row = measure(size)
        if row is None:
            failed = size
        else:
            rows[size] = row
    return [rows[size] for size in sorted(rows)], failed


def quickest(rows: Sequence[Row]) -> int:
    """Return the smallest batch whose speed is within 5 % of the best."""
    best = max(row.images_per_second for row in rows)
    return min(row.batch_size for row in rows if row.images_per_second >= ENOUGH * best)


def largest(rows: Sequence[Row], failed: int | None) -> int:
    """Return the largest batch that fits, with a margin where the limit was met."""
    most = max(row.batch_size for row in rows)
    if failed is None:
        return most
    safe = max(int(most * MARGIN), 1)
    return safe - safe % MULTIPLE if safe >= MULTIPLE else safe
