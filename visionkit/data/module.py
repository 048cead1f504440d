"""Hand the batches of a data set to Lightning."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from visionkit.config.values import image_size
from visionkit.data.augmentation.augment import Augment
from visionkit.data.dataset import Samples
from visionkit.data.geometry import RESIZES, Resize
from visionkit.data.loader import ResumableLoader, plain_loader
from visionkit.data.pictures.cache import open_cache
from visionkit.data.pictures.copies import Copies, for_crops
from visionkit.data.pixels import in_memory
from visionkit.data.records import Records
from visionkit.data.sample import Sample
from visionkit.data.sampler import TrainBatches
from visionkit.data.selection.draws import Weigh
from visionkit.data.skipping import Skipped
from visionkit.types import LABEL_KINDS, Classes

MOST_WORKERS = 8
"""More loader processes than this seldom help and cost memory."""


class DataModule(LightningDataModule):
    """Loads the splits of one data set.

    Args:
        records: The data set by split; a `Selection` reads a split when it is first needed.
        augment: Random changes to training samples; None for none.
        size: The network's input, one number or [height, width] in pixels.
        batch_size: Images a step, over all processes together.
        workers: Loader processes a rank; None takes none for data in memory, else one a core, at most `MOST_WORKERS`.
        seed: Of the order and the augmentation.
        kinds: The labels to load, entries of `visionkit.data.sample.KINDS`.
        weigh: Says how much each training image weighs when an epoch is drawn; None takes every image once.
        skipped: Where samples that cannot be read are noted; None stops at the first.
        resize: How images are brought to the size without chance, a key of `visionkit.data.geometry.RESIZES`.
        cache: Where resized copies of files are kept, one of `visionkit.data.pictures.cache.CACHES`.
    """

    def __init__(
        self,
        records: Mapping[str, Records],
        augment: Augment | None,
        size: int | Sequence[int],
        batch_size: int,
        workers: int | None,
        seed: int,
        kinds: Sequence[str],
        weigh: Weigh | None = None,
        skipped: Skipped | None = None,
        resize: str = "fit",
        cache: str = "none",
    ) -> None:
        super().__init__()
        self.records = records
        self.augment = augment
        self.size = image_size(size)
        self.resize: Resize = RESIZES[resize](self.size)
        self.cache = open_cache(cache)
        self.batch_size = batch_size
        self.workers = workers
        self.seed = seed
        self.kinds = tuple(kinds)
        self.weigh = weigh
        self.skipped = skipped

    @property
    def first(self) -> Records:
        """The first split that there is."""
        return self.records[next(iter(self.records))]

    @property
    def classes(self) -> Classes:
        """The class names, from the first split that there is."""
        return self.first.classes

    @property
    def measured(self) -> tuple[str, ...]:
        """The splits that are evaluated: val, and test where there is one whose labels of every kind are published."""
        if "test" in self.records and set(self.kinds) & set(LABEL_KINDS) <= set(self.records["test"].kinds):
            return ("val", "test")
        return ("val",)

    @property
    def rank(self) -> int:
        """The number of this process; 0 without a trainer."""
        return 0 if self.trainer is None else self.trainer.global_rank

    @property
    def world_size(self) -> int:
        """The number of processes; 1 without a trainer."""
        return 1 if self.trainer is None else self.trainer.world_size

    def train_dataloader(self) -> ResumableLoader:
        """Return the shuffled, augmented training batches of this rank. Raises ConfigError when the labels lack."""
        records = self.records["train"]
        samples = Samples(records, self.resize, self.kinds, self.augment, self.seed, self._copies(records))
        weights = self.weigh(records) if self.weigh else None
        batches = TrainBatches(len(samples), self.batch_size, self.seed, self.rank, self.world_size, weights)
        return ResumableLoader(samples, batches, self.num_workers(records), self.skipped)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the validation batches of this rank."""
        return self.plain_dataloader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the test batches of this rank. Raises DataError when the data set has no test split."""
        return self.plain_dataloader("test")

    def plain_dataloader(self, split: str) -> DataLoader[Sample]:
        """Return a split in order and without augmentation, this rank's share."""
        records = self.records[split]
        return plain_loader(
            records,
            self.resize,
            self.batch_size,
            self.kinds,
            self.num_workers(records),
            self.rank,
            self.world_size,
            self.skipped,
            None if in_memory(records.images) else self.cache,
        )

    def labelled_dataloader(self, split: str, kind: str) -> DataLoader[Sample]:
        """Return the samples of a split that carry a kind of labels, with these alone, in order: all on each rank."""
        records = self.records[split]
        carried = records.present[:, LABEL_KINDS.index(kind)]
        if not carried.all():
            records = records.take(np.flatnonzero(carried))
        return plain_loader(
            records, self.resize, self.batch_size, (kind,), self.num_workers(records), skipped=self.skipped
        )

    def _copies(self, records: Records) -> Copies | None:
        """Return what reads training samples from copies; None without a cache, or for data in memory."""
        if self.cache is None or in_memory(records.images):
            return None
        if self.augment is None:
            return Copies(self.cache, self.resize)
        return Copies(self.cache, for_crops(self.augment.largest(self.size)))

    def num_workers(self, records: Records) -> int:
        """Return the number of loader processes for records."""
        if self.workers is not None:
            return self.workers
        if in_memory(records.images):
            return 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(max(1, cores // self.world_size), MOST_WORKERS)
