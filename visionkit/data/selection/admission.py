"""Let a run see all samples but those that the user leaves out, or that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from visionkit.data.pictures.signature import suspicion
from visionkit.data.pixels import path_of
from visionkit.data.records import Records
from visionkit.data.report import Report
from visionkit.data.skipping import Skipped
from visionkit.errors import ConfigError, DataError

log = logging.getLogger(__name__)

CHECKED: Final = 20_000
"""Samples of a split whose files are looked at before a run, evenly spread: about a second.

A number and no time, so that all processes of a run find the same."""


class Admitted(Mapping[str, Records]):
    """Records by split, without the samples named in `leave_out`; a split is taken when first asked for.

    With `skipped` the reader's `report` becomes lenient, and samples whose file is missing, empty or no picture are
    noted there and left out; what is damaged further on is only seen when it is decoded. Which split a sample belongs
    to does not depend on what is left out.

    Raises DataError when nothing is left of a split.
    """

    def __init__(
        self, records: Mapping[str, Records], report: Report, leave_out: frozenset[str], skipped: Skipped | None
    ) -> None:
        self.report = report
        self.leave_out = leave_out
        self.skipped = skipped
        self._records = records
        self._taken: dict[str, Records] = {}
        if skipped is not None:
            report.lenient = True

    def __getitem__(self, split: str) -> Records:
        if split not in self._taken:
            self._taken[split] = self._admit(split, self._records[split])
        return self._taken[split]

    def __contains__(self, split: object) -> bool:
        return split in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def _admit(self, split: str, records: Records) -> Records:
        keep = np.ones(len(records), dtype=bool)
        if self.leave_out:
            keep &= [name not in self.leave_out for name in records.names]
            log.info("data.leave_out: %d of %d samples of %s", np.count_nonzero(~keep), len(keep), split)
        if self.skipped is not None:
            for finding in self.report.findings:
                if finding.level == "error":
                    self.skipped.note(f"{finding.path}: {finding.text}")
            for index in checked(len(records)):
                if keep[index] and (said := unusable(records, index)):
                    self.skipped.note(said)
                    keep[index] = False
        if keep.all():
            return records
        if not keep.any():
            raise DataError(f"nothing is left of the split {split}: all {len(keep)} samples are left out")
        return records.take(np.flatnonzero(keep))


def checked(num: int) -> Iterator[int]:
    """Yield the samples to look at before a run: all, or `CHECKED` of them evenly spread."""
    yield from (range(num) if num <= CHECKED else np.linspace(0, num - 1, CHECKED).astype(int).tolist())


def unusable(records: Records, index: int) -> str:
    """Return why a sample cannot be used, by its files' existence and first bytes, else nothing.

    What is suspicious is opened, so that formats of a reader's own are no false alarm.
    """
    for pixels in (records.images, records.masks):
        path = None if pixels is None else path_of(pixels, index)
        if pixels is None or path is None or path.is_dir() or not suspicion(path):
            continue
        try:
            pixels[index]
        except DataError as error:
            return str(error)
    return ""


def read_list(path: str | None) -> frozenset[str]:
    """Return the names of a list for `data.leave_out`: one a line; what begins with # is a comment."""
    if path is None:
        return frozenset()
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise ConfigError(
            f"data.leave_out={path} cannot be read ({error.strerror}); give a list of names, or null"
        ) from error
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
