"""Go on without samples whose files turn out to be unusable, and keep a list of them."""

from __future__ import annotations

import json
import logging
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from visionkit.data.dataset import Samples
from visionkit.data.geometry import PAD_VALUE
from visionkit.data.records import Records
from visionkit.data.sample import Sample
from visionkit.errors import DataError

log = logging.getLogger(__name__)

JOURNAL = "skipped.jsonl"
"""The file that all processes of a run write into while it lasts, a line a finding."""


class Skipped:
    """What a run goes on without, from all its processes: in a file of `folder`, or of this process alone without one.

    A thing is noted and logged once, by the process that comes upon it first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = None if folder is None else folder / JOURNAL
        self._known: dict[str, None] = {}

    def note(self, said: str) -> None:
        """Note what cannot be used: the file, a colon and the reason, as errors say it."""
        if said in self._known:
            return
        known = said in self.entries()
        self._known[said] = None
        if known:
            return
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:  # a short line is appended in one piece
                file.write(json.dumps(said) + "\n")
        log.warning("skipped: %s", said)

    def entries(self) -> list[str]:
        """Return all that was noted, in order."""
        if self.path is None or not self.path.is_file():
            return list(self._known)
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return list(dict.fromkeys(json.loads(line) for line in lines))


class Forgiving(Dataset[Sample]):
    """Samples, with a grey one that carries no labels in place of each that cannot be read.

    So batches, ranks and resuming stay as they are, and no loss and no metric counts it.
    """

    def __init__(self, samples: Samples, skipped: Skipped) -> None:
        self.samples = samples
        self.skipped = skipped
        self._blank: Samples | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Any) -> Sample:
        try:
            return self.samples[key]
        except DataError as error:
            self.skipped.note(str(error))
            if self._blank is None:
                self._blank = copy(self.samples)
                self._blank.records = blank(self.samples.records, _channels(self.samples.records))
            return self._blank[key]  # through the same steps, which decide on its size


class _Plain:
    """Pictures of one value, all of one size, made when asked for."""

    in_memory = True

    def __init__(self, num: int, value: int, *shape: int) -> None:
        self._num = num
        self._value = value
        self._shape = shape

    def __len__(self) -> int:
        return self._num

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        return np.full(self._shape, self._value, dtype=np.uint8)


def _channels(records: Records) -> int:
    """Return how many channels the images have, by the first that can be read."""
    for index in range(len(records)):
        try:
            return int(np.asarray(records.images[index]).shape[2])
        except DataError:
            continue
    raise DataError(f"none of {len(records)} images can be read; python -m visionkit.doctor says why")


def blank(records: Records, channels: int = 3, side: int = 32) -> Records:
    """Return records of as many grey images, of the same kinds of labels, of which none is present."""
    num = len(records)
    boxes: dict[str, Any] = {}
    if records.boxes is not None and records.box_label is not None and records.box_ignore is not None:
        start = np.zeros(num + 1, dtype=np.int64)
        boxes = {"boxes": records.boxes[:0], "box_label": records.box_label[:0], "box_start": start}
        boxes["box_ignore"] = records.box_ignore[:0]
    return replace(
        records,
        images=_Plain(num, PAD_VALUE, side, side, channels),
        masks=None if records.masks is None else _Plain(num, 255, side, side),
        instances=None if records.instances is None else _Plain(num, 0, side, side),
        present=np.zeros_like(records.present),
        **boxes,
    )
