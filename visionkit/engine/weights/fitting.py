"""Fit the tensors of a file into a network: whose name is whose, which shapes agree, and the first convolution."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import Tensor

from visionkit.engine.weights.report import Different, Report
from visionkit.types import COLOURS

PREFIXES = ("module.", "model.", "backbone.", "body.", "network.backbone.")
"""What tools put in front of all names: data parallelism, Lightning, detectors."""

_COUNTER = "num_batches_tracked"
"""Of a batch normalisation: older files lack it, and with a momentum nothing reads it, so no report names it."""


def best_names(file: Iterable[str], schemes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the file's name of each of our tensors, with what the file puts in front of all names.

    `schemes` are ways to name our tensors ({our name: name}); of all schemes and prefixes that wins which finds most
    of the names, of equals the first.
    """
    known = set(file)
    found = [
        (sum(prefix + name in known for name in scheme.values()), scheme, prefix)
        for scheme in schemes
        for prefix in _prefixes(known)
    ]
    _, scheme, prefix = max(found, key=lambda each: each[0])
    return {own: prefix + name for own, name in scheme.items()}


def _prefixes(names: set[str]) -> Iterator[str]:
    """Yield nothing, then all that names begin with out of `PREFIXES`, one behind the other."""
    yield ""
    reached = [""]
    while reached:
        before = reached.pop(0)
        for prefix in PREFIXES:
            if len(before) < 60 and any(name.startswith(before + prefix) for name in names):
                yield before + prefix
                reached.append(before + prefix)


def fit(
    source: str,
    path: str,
    file: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    names: Mapping[str, str],
    *,
    first: str | None = None,
    classifiers: Iterable[str] = (),
    may_be_left: Iterable[str] = (),
) -> tuple[dict[str, Tensor], Report]:
    """Return the tensors that go into a network, by its names, and the report.

    `own` is the network's state dict, `names` the file's name of each. `first` is our name of the first convolution's
    weight, whose input channels are adapted to ours. `classifiers` are our names of tensors that may be for another
    number of classes: then they are not taken, which is no mismatch. A tensor of the file that we do not take counts
    as another architecture's when it is of a part that we have and stands before the last one we take; one whose name
    begins with an entry of `may_be_left` never does.
    """
    taken: dict[str, Tensor] = {}
    missing: list[str] = []
    different: list[Different] = []
    classes: list[Different] = []
    may_differ = frozenset(classifiers)
    adapted = None
    for name, target in own.items():
        tensor = file.get(names[name])
        if tensor is None:
            if not name.endswith(_COUNTER):
                missing.append(name)
            continue
        if name == first and _is_colour(tensor, target):
            tensor = adapt(tensor, target.shape[1])
            adapted = f"{name} takes {target.shape[1]} channels instead of {COLOURS}: {_recipe(target.shape[1])}"
        if tensor.shape == target.shape:
            taken[name] = tensor
            continue
        of_classes = name in may_differ and tensor.shape[1:] == target.shape[1:]
        (classes if of_classes else different).append(Different(name, tuple(tensor.shape), tuple(target.shape)))
    used = {names[name] for name in own}
    left = [name for name in file if name not in used and not name.endswith(_COUNTER)]
    foreign = set(_foreign(left, used & set(file), tuple(may_be_left)))
    report = Report(
        source, path, tuple(taken), tuple(missing), tuple(different),
        tuple(name for name in left if name in foreign),
        tuple(name for name in left if name not in foreign), tuple(classes), adapted,
    )  # fmt: skip
    return taken, report


def first_convolution(own: Mapping[str, Tensor], file: Mapping[str, Tensor], names: Mapping[str, str]) -> str | None:
    """Return our name of the first convolution's weight: the first that differs from the file in input channels only.

    None when there is none, so when nothing has to be adapted.
    """
    for name, target in own.items():
        tensor = file.get(names[name])
        if tensor is not None and _is_colour(tensor, target):
            return name
    return None


def adapt(weight: Tensor, channels: int) -> Tensor:
    """Return the weight (out, 3, h, w) of a convolution for images of another number of channels.

    One channel takes the sum over the colours, so that a grey image gives what it gave as a colour image. More are
    the colours again and again, times 3 / channels, which keeps the size of the sum; so does timm.
    """
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, -(-channels // COLOURS), 1, 1)[:, :channels]
    return repeated * (COLOURS / channels)


def _is_colour(tensor: Tensor, target: Tensor) -> bool:
    """Return whether a weight of the file is ours but for its three input channels."""
    return (
        tensor.ndim == target.ndim == 4
        and tensor.shape[1] == COLOURS != target.shape[1]
        and (tensor.shape[0], tensor.shape[2:]) == (target.shape[0], target.shape[2:])
    )


def _recipe(channels: int) -> str:
    return "the sum of its filters over the colours" if channels == 1 else f"its filters repeated, times 3/{channels}"


def _foreign(left: Iterable[str], used: set[str], may_be_left: tuple[str, ...]) -> Iterator[str]:
    if not used:
        return
    shared = len(_common(used))
    parts = {_part(name, shared) for name in used}
    last = max(map(_natural, used))
    for name in left:
        ours = _part(name, shared) in parts and _natural(name) < last
        if ours and not (may_be_left and name.startswith(may_be_left)):
            yield name


def _common(names: set[str]) -> str:
    """Return the prefixes of `PREFIXES` that all names begin with."""
    found = ""
    while step := next((p for p in PREFIXES if all(name.startswith(found + p) for name in names)), ""):
        found += step
    return found


def _part(name: str, shared: int) -> str:
    return name[:shared] + name[shared:].split(".", 1)[0]


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which layer 10 comes behind layer 2."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"[._]|(?<=\D)(?=\d)", name)]
