"""Make every sample a function of the seed and its key, (epoch, index), and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch.utils.data import Dataset

from visionkit.data.geometry import Fit
from visionkit.data.records import Records
from visionkit.data.sample import KINDS, Sample, place_sample, read_sample
from visionkit.data.sampler import Key
from visionkit.errors import ConfigError
from visionkit.types import KIND_NOUNS

if TYPE_CHECKING:  # evaluation does without albumentations
    from visionkit.data.augment import Augment


class Samples(Dataset[Sample]):
    """Maps a key of the sampler to a sample at the network's size, with the labels of `kinds` only.

    `augment` None leaves the samples as they are; then the epoch does not matter.

    Raises:
        ConfigError: The records lack a kind asked for.
    """

    def __init__(
        self, records: Records, fit: Fit, kinds: Sequence[str], augment: Augment | None = None, seed: int = 0
    ) -> None:
        have = (*records.kinds, *(("instances",) if records.instances is not None else ()))
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ConfigError(f"there are no labels of the kind {unknown[0]!r}; the kinds are {', '.join(KINDS)}")
        if missing := [kind for kind in kinds if kind not in have]:
            needed, there = (
                " and ".join(KIND_NOUNS.get(kind, kind) for kind in named) for named in (missing[:1], have)
            )
            raise ConfigError(
                f"the task needs {needed}, but these images have {there or 'no labels'}; choose another data= or task="
            )
        self.records = records
        self.fit = fit
        self.kinds = tuple(kinds)
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index, *again = key
        sample = read_sample(self.records, index, self.kinds)
        if self.augment is None:
            return place_sample(sample, self.fit)
        self.augment.begin(self.seed, epoch, index, *again)
        sample = place_sample(self.augment.spatial(sample), self.fit)
        return self.augment.pixel(sample)
