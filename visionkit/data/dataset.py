"""Make every sample a function of the seed and its key, (epoch, index), and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from visionkit.data.augmentation import mixing
from visionkit.data.augmentation.visible import clipped, measured
from visionkit.data.geometry import Placement, Resize
from visionkit.data.pictures.copies import Copies
from visionkit.data.pictures.picture import open_picture
from visionkit.data.records import Records
from visionkit.data.sample import KINDS, Sample, label_sample, place_sample, read_sample
from visionkit.data.sampler import Key
from visionkit.errors import ConfigError
from visionkit.types import KIND_NOUNS, LABEL_KINDS

if TYPE_CHECKING:  # evaluation does without albumentations
    from visionkit.data.augmentation.augment import Augment


class Samples(Dataset[Sample]):
    """Maps a `Key` to a sample at the network's size, with the labels of `kinds` only.

    `augment` None leaves the samples as they are, fully decoded; then nothing but the index matters. Otherwise what is
    seen of an image is drawn first, and a JPEG is then decoded no larger than that needs. With `copies`, samples are
    read from those: without `augment` at the network's size, else at a size that is left to cut parts out of.

    Raises:
        ConfigError: The records lack a kind asked for.
    """

    def __init__(
        self,
        records: Records,
        resize: Resize,
        kinds: Sequence[str],
        augment: Augment | None = None,
        seed: int = 0,
        copies: Copies | None = None,
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
        self.resize = resize
        self.kinds = tuple(kinds)
        self.augment = augment
        self.seed = seed
        self.copies = copies
        self._dense = not {"mask", "boxes", "instances"}.isdisjoint(kinds)
        self._classes = not {"labels", "multilabel"}.isdisjoint(kinds)
        self._complete = _complete(records, kinds)
        self._partners = np.flatnonzero(self._complete)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: tuple[int, ...]) -> Sample:
        epoch, index, batch, again = Key(*key)
        if self.augment is None:
            if self.copies is not None:
                return self.copies.read(self.records, index, self.kinds)
            sample = read_sample(self.records, index, self.kinds)
            return place_sample(sample, self.resize.place(*sample.size))
        self.augment.begin(self.seed, epoch, index, again)
        resize = self.resize
        if self.augment.multi_scale is not None:
            resize = replace(resize, size=self.augment.size(resize.size, self.seed, epoch, batch))
        return self._mixed(self.augment, index, resize)

    def _mixed(self, augment: Augment, index: int, resize: Resize) -> Sample:
        """Return an augmented sample, by mix-up or cut-mix one of two images."""
        sample = self._augmented(augment, index, resize)
        if self._dense or not augment.mixup + augment.cutmix:
            return sample
        sample = sample._replace(mixed_label=sample.label)
        drawn = augment.rng.random()
        if drawn >= augment.mixup + augment.cutmix or not self._complete[index]:
            return sample
        other = self._augmented(augment, self._partner(augment), resize)
        if drawn < augment.mixup:
            return mixing.mixup(sample, other, augment.rng.beta(mixing.MIXUP, mixing.MIXUP))
        return mixing.cutmix(augment.rng, sample, other, augment.rng.beta(mixing.CUTMIX, mixing.CUTMIX))

    def _augmented(self, augment: Augment, index: int, resize: Resize) -> Sample:
        """Return a sample of one image, or of four by a mosaic, transformed at the network's size."""
        if self._dense and not self._classes and augment.rng.random() < augment.mosaic and self._complete[index]:
            places = mixing.quarters(augment.rng, resize.size)
            indices = [index, *(self._partner(augment) for _ in places[1:])]
            parts = [
                self._placed(augment, each, replace(resize, size=place[2:]))
                for each, place in zip(indices, places, strict=True)
            ]
            sample = mixing.mosaic(parts, places)
        else:
            sample = self._placed(augment, index, resize)
        sample = augment.spatial(sample)
        height, width = sample.image.shape[:2]
        if (height, width) != resize.size:  # of a transform that cuts or pads
            sample = clipped(place_sample(sample, resize.place(height, width)))
        return augment.pixel(sample)

    def _placed(self, augment: Augment, index: int, resize: Resize) -> Sample:
        """Return what is seen of an image with its labels, decoded at the smallest size that has enough pixels."""
        if self.copies is not None:
            sample = self.copies.read(self.records, index, self.kinds)
            height, width = sample.image.shape[:2]
            placement = augment.place((height, width), resize, dense=self._dense)
            return _moved(sample, placement.snapped(placement.reduction))
        picture = open_picture(self.records.images, index)
        placement = augment.place(picture.size, resize, dense=self._dense)
        factor = placement.reduction
        if not picture.divisible(factor):
            factor = 1
        placement = placement.snapped(factor)
        image, reduced = picture.decode(factor)
        bare = Sample(image, index, picture.size, self.records.present[index])
        sample = label_sample(bare, self.records, self.kinds)
        return _moved(sample, placement, reduced)

    def _partner(self, augment: Augment) -> int:
        return int(self._partners[augment.rng.integers(len(self._partners))])


def _moved(sample: Sample, placement: Placement, reduced: int = 1) -> Sample:
    """Return the sample at its placement, boxes that are cut measured anew, or clipped where there is no map."""
    placed = place_sample(sample, placement, reduced)
    if placement.whole:
        return placed
    if sample.instances is None:
        return clipped(placed)
    return measured(placed, sample.instances, float(placement.factor[:2].prod()))


def _complete(records: Records, kinds: Sequence[str]) -> NDArray[np.bool_]:
    """Return which samples carry all labels asked for: without them, one cannot be put together with others."""
    columns = [LABEL_KINDS.index(kind) for kind in kinds if kind in LABEL_KINDS]
    return np.asarray(records.present[:, columns].all(axis=1))
