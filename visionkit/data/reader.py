"""State what a reader of a data format promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from visionkit.data.records import Records
from visionkit.data.report import Report

UNSPLIT: Final = ("all",)
"""What `splits` returns where the data set names none: `read("all")` then gives every sample, to be cut afterwards."""


class Reader(ABC):
    """Turns one format on disk into records. The constructor takes config arguments and does no I/O.

    What is wrong with a file goes to `report`, with a code, the file and what to do: it raises DataError for an error,
    or collects it where whoever reads asked for that; the reader then goes on without what cannot be used.
    """

    def __init__(self) -> None:
        self.report = Report()

    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Return those of train, val and test that the data set has, in that order, or `UNSPLIT`.

        Raises DataError when it is not there at all.
        """

    @abstractmethod
    def read(self, split: str) -> Records:
        """Return one split. Raises DataError when it is missing or its files cannot be used."""
