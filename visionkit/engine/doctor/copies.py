"""Find pictures that are there twice: the same file, the same picture saved anew or cut, and similar ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.config.values import SPLITS
from visionkit.engine.doctor import looking, similar
from visionkit.engine.doctor.codes import Finding
from visionkit.engine.doctor.looking import NOTES
from visionkit.engine.doctor.pool import Splits, spread
from visionkit.engine.doctor.sameness import NEAR, SAME, SAME_SMALL, SMALL, Agreement, agreement
from visionkit.engine.doctor.scanning import Scan

AT_ONCE = 48
"""Pairs of a job, which opens each of their pictures once."""

Sample = tuple[str, int]

_BLANK = 1 << NOTES.index("blank")


def exact(splits: Splits, scan: Scan) -> tuple[list[Finding], NDArray[np.int64]]:
    """Return a finding for each file that is there several times, and one row of `scan` for each different file."""
    usable = np.flatnonzero(scan.facts["height"] > 0)
    _, first, number = np.unique(scan.facts["digest"][usable], return_index=True, return_inverse=True)
    order = np.argsort(number, kind="stable")
    ends = np.flatnonzero(np.diff(number[order], append=-1)) + 1
    findings = []
    for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        if end - start > 1:
            samples = [scan.sample(int(row)) for row in usable[order[start:end]]]
            findings.append(_same(splits, samples, "are the same file, byte for byte"))
    return findings, np.sort(usable[first])


def alike(
    splits: Splits,
    scan: Scan,
    rows: NDArray[np.int64],
    begin: Callable[[str, int], object] = lambda _, __: None,
    advance: Callable[[int], object] = lambda _: None,
    processes: int | None = None,
) -> list[Finding]:
    """Return a finding for each two of the rows that show the same picture, or nearly the same.

    `begin` is told what is done and how many steps it has, `advance` how many more of them are done.
    """
    rows = rows[(scan.facts["notes"][rows] & _BLANK) == 0]
    if len(rows) < 2:
        return []
    split = np.searchsorted(scan.start, rows, side="right")
    begin("looking for similar pictures", similar.num_blocks(len(rows)))
    candidates = [(int(rows[a]), int(rows[b])) for a, b in similar.pairs(scan.facts["small"][rows], split, advance)]
    begin("comparing similar pictures", len(candidates))
    jobs = [
        [(scan.sample(one), scan.sample(two)) for one, two in candidates[first : first + AT_ONCE]]
        for first in range(0, len(candidates), AT_ONCE)
    ]
    findings: list[Finding] = []
    for job, agreements in zip(jobs, spread(splits, _compare, jobs, processes), strict=True):
        for samples, found in zip(job, agreements, strict=True):
            findings.extend(_judged(splits, scan, list(samples), found))
        advance(len(job))
    return findings


def _compare(splits: Splits, job: Iterable[tuple[Sample, Sample]]) -> list[Agreement]:
    @lru_cache(maxsize=2 * AT_ONCE)
    def detail(split: str, index: int) -> NDArray[np.float32]:
        return looking.detail(splits[split].images, index)

    return [agreement(detail(*one), detail(*two)) for one, two in job]


def _judged(splits: Splits, scan: Scan, samples: list[Sample], found: Agreement) -> Iterator[Finding]:
    sides = [min(scan.of(split)[index][side] for side in ("height", "width")) for split, index in samples]
    large = min(sides) >= SMALL
    if found.within and found.score >= (SAME if large else SAME_SMALL):
        yield _same(splits, samples, f"show the same picture, saved anew or cut (agreement {found.score:.2f})")
    elif large and found.score >= NEAR:  # small ones of a kind, such as digits, are all alike
        code = "near" if len({split for split, _ in samples}) == 1 else "near_splits"
        yield _finding(splits, code, samples, f"are similar (agreement {found.score:.2f})")


def _same(splits: Splits, samples: list[Sample], said: str) -> Finding:
    """Return what to say of samples that show one picture, and which of them to train without.

    Of two splits the one that measures keeps it: test before val before train.
    """
    samples = sorted(samples, key=lambda sample: (SPLITS.index(sample[0]), sample[1]))
    kept = samples[-1][0]
    code = "leak" if samples[0][0] != kept else "duplicate"
    others = [sample for sample in samples if sample[0] != kept] if code == "leak" else samples[1:]
    said += _labels(splits, samples)
    return _finding(splits, code, samples, said)._replace(leave_out=tuple(_name(splits, sample) for sample in others))


def _labels(splits: Splits, samples: list[Sample]) -> str:
    """Return that samples of one picture have different classes, or nothing."""
    named: set[Any] = set()
    for split, index in samples:
        records = splits[split]
        if records.labels is None or records.classes.labels is None:
            return ""
        named.add(records.classes.labels[int(records.labels[index])])
    return f", but are labelled {' and '.join(sorted(named))}" if len(named) > 1 else ""


def _finding(splits: Splits, code: str, samples: list[Sample], said: str) -> Finding:
    places = [split for split, _ in samples]
    where = " and ".join(dict.fromkeys(places))
    return Finding(code, tuple(_name(splits, one) for one in samples), f"{said} (in {where})", tuple(samples))


def _name(splits: Splits, sample: Sample) -> str:
    return splits[sample[0]].names[sample[1]]
