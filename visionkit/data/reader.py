"""State what a reader of a data format promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from visionkit.data.records import Records


class Reader(ABC):
    """Turns one format on disk into records. The constructor takes config arguments and does no I/O."""

    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Return those of train, val and test that the data set has, in that order. Raises DataError without any."""

    @abstractmethod
    def read(self, split: str) -> Records:
        """Return one split. Raises DataError when it is missing or its files cannot be used."""
