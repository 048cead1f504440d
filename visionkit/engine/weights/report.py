"""Say which tensors of a file a network took, which not, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

_MOST = 6
"""Names that a message lists of one kind; `weights.json` of a run has them all."""


class Different(NamedTuple):
    """A tensor that both have, in two shapes."""

    name: str
    file: tuple[int, ...]
    network: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} ({_shape(self.file)} in the file, {_shape(self.network)} here)"


class Report(NamedTuple):
    """What came of fitting the tensors of a file into a network; names without a remark are the network's."""

    source: str
    file: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    """Not in the file, so still random."""
    different: tuple[Different, ...]
    """In the file with another shape, so still random."""
    foreign: tuple[str, ...]
    """Names of the file, of parts that this network has too, but deeper or otherwise: another architecture's."""
    unused: tuple[str, ...]
    """Names of the file that nothing here needs, such as a classifier's."""
    classes: tuple[Different, ...]
    """Auxiliary classifiers' last layers, in the file for other classes, so still random; no mismatch."""
    adapted: str | None
    """How the first convolution was fitted to the channels of the images; None where it was taken as it is."""
    new: tuple[str, ...] = ()
    """Heads and necks that the file has not, so that they begin at random; no mismatch."""

    @property
    def fits(self) -> bool:
        """Return whether nothing is a mismatch."""
        return not (self.missing or self.different or self.foreign)

    def mismatches(self) -> str:
        """Return all that does not fit, in one line."""
        parts = {
            "not in the file": self.missing,
            "of another shape": self.different,
            "in the file, but of a network that is built otherwise": self.foreign,
        }
        return "; ".join(f"{len(names)} {what}: {_listed(names)}" for what, names in parts.items() if names)

    def strangers(self) -> str:
        """Return what tensors are called in a file of which nothing was loaded, and what in the network."""
        theirs, ours = (*self.foreign, *self.unused), (*self.missing, *(one.name for one in self.different))
        return f"it has {_listed(theirs, 2)}; here they are called {_listed(ours, 2)}"

    def lines(self) -> list[str]:
        """Return what a log says, but for what is still random."""
        found = [f"{self.source}: {len(self.loaded)} tensors loaded from {self.file}"]
        if self.adapted:
            found.append(f"  {self.adapted}")
        parts = {
            "begin at random, as the file has none of them": self.new,
            "not used of the file, as nothing here needs them": self.unused,
            "not used of the file, as the network is built otherwise": self.foreign,
            "not used of the file, as it has other classes": self.classes,
        }
        found += [f"  {what}: {_listed(names)}" for what, names in parts.items() if names]
        return found

    def still_random(self) -> list[str]:
        """Return what a log warns of."""
        parts = {
            "not in the file, so still random": self.missing,
            "of another shape, so still random": self.different,
        }
        return [f"  {what}: {_listed(names)}" for what, names in parts.items() if names]

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            **{k: list(v) if isinstance(v, tuple) else v for k, v in self._asdict().items()},
            "different": [_as_json(one) for one in self.different],
            "classes": [_as_json(one) for one in self.classes],
        }


def _as_json(one: Different) -> dict[str, Any]:
    return {"name": one.name, "file": list(one.file), "network": list(one.network)}


def _shape(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides)) or "one number"


def _listed(names: Iterable[object], most: int = _MOST) -> str:
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
