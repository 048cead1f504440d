"""Pack many strings into two arrays, so that loader workers share them without copying."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray


class Strings:
    """A read-only sequence of strings in one uint8 blob; forked workers would copy a list's pages by touching them."""

    def __init__(self, strings: Iterable[str]) -> None:
        encoded = [string.encode("utf-8", "surrogateescape") for string in strings]
        self._blob: NDArray[np.uint8] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        self._start: NDArray[np.int64] = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in encoded], out=self._start[1:])

    @classmethod
    def of(cls, blob: NDArray[np.uint8], start: NDArray[np.int64]) -> Strings:
        """Return the strings of arrays as `blob` and `start` give them, without a copy."""
        strings = cls.__new__(cls)
        strings._blob, strings._start = blob, start
        return strings

    @property
    def blob(self) -> NDArray[np.uint8]:
        """The bytes of all strings, one after the other."""
        return self._blob

    @property
    def start(self) -> NDArray[np.int64]:
        """Where each string begins in `blob`, and at last where the last one ends."""
        return self._start

    def __len__(self) -> int:
        return len(self._start) - 1

    def __getitem__(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"string {index} of {len(self)}")
        index %= len(self)
        return self._blob[self._start[index] : self._start[index + 1]].tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))
