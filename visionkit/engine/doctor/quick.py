"""Look at a data set before a training, as far as that takes no decoding and but a few seconds."""

from __future__ import annotations

import hashlib
import logging
import shlex
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from omegaconf import OmegaConf

from visionkit.config.folders import conf_dir, options
from visionkit.data.pixels import in_memory, path_of
from visionkit.data.records import Records
from visionkit.data.selection.admission import Admitted, checked, unusable
from visionkit.engine.doctor import labels
from visionkit.types import LABEL_KINDS

log = logging.getLogger("visionkit")

SECONDS: Final = 3.0
"""How long looking at files may take, and once more comparing them; what was not reached is the doctor's."""

NAMED: Final = 5
"""Files or classes that a line names."""


def tell(records: Mapping[str, Records], data: Mapping[str, Any], kinds: Sequence[str] = LABEL_KINDS) -> None:
    """Log what is wrong, a line a kind, and where more is to be seen; nothing where nothing is.

    `kinds` are those of the labels that are learned, whose classes are counted.
    `data` is the config node that the records were built from. Looks at the first bytes of at most
    `admission.CHECKED` files of each split, and at the bytes of files of equal size, each for `SECONDS` at most.
    """
    splits = dict(records)
    lines = [*_files(splits), *_classes(splits, kinds), *_copies(splits)]
    for line in lines:
        log.warning("data: %s", line)
    if lines or (isinstance(records, Admitted) and records.report.findings):
        log.warning("data: more is told by %s", _command(data))


def _files(splits: Mapping[str, Records]) -> Iterator[str]:
    until = time.perf_counter() + SECONDS
    found = []
    for part in splits.values():
        if in_memory(part.images):
            continue
        for index in checked(len(part)):
            if said := unusable(part, index):
                found.append(said)
            if time.perf_counter() > until:
                break
    if found:
        yield f"{len(found)} x file that cannot be used: {_some(found, '; ')}"


def _classes(splits: Mapping[str, Records], kinds: Sequence[str]) -> Iterator[str]:
    for split, part in splits.items():
        for kind, numbers in labels.counts(part, None).items():
            if kind in kinds and (gone := [name for name, number in numbers.items() if not number]):
                yield f"no {labels.UNITS[kind]} of {split} has the class {_some(gone)}"


def _copies(splits: Mapping[str, Records]) -> Iterator[str]:
    """Yield how many files of one split are in another too, byte for byte."""
    until = time.perf_counter() + SECONDS
    sizes: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for split, part in splits.items():
        for index in range(len(part)):
            path = path_of(part.images, index)
            if path is None or time.perf_counter() > until:
                break
            if path.is_file() and (size := path.stat().st_size):
                sizes[size].append((split, path))
    found = []
    for alike in sizes.values():
        if len({split for split, _ in alike}) < 2:
            continue
        same: dict[bytes, dict[str, Path]] = defaultdict(dict)
        for split, path in alike:
            if time.perf_counter() > until:
                break
            same[hashlib.blake2b(path.read_bytes(), digest_size=16).digest()].setdefault(split, path)
        found += [" = ".join(map(str, paths.values())) for paths in same.values() if len(paths) > 1]
    if found:
        yield f"{len(found)} x same file in two splits: {_some(found)}"


def _some(names: list[str], between: str = ", ") -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return between.join(names[:NAMED]) + more


def _command(data: Mapping[str, Any]) -> str:
    """Return the doctor's command for the data of a run."""
    reader = data["reader"]["_target_"]
    given = []
    for name, path in options([conf_dir()], "data").items():
        if OmegaConf.select(OmegaConf.load(path), "reader._target_") == reader:
            given.append(f"data={name}")
    root = [f"data.root={shlex.quote(str(data['root']))}"] if "root" in data else []
    return " ".join(["python -m visionkit.doctor", *(given[:1] or ["data=..."]), *root])
