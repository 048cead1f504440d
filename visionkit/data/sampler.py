"""Decide which samples make up which batch, as a function of the seed, the epoch and the rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from visionkit.data.selection.draws import draw
from visionkit.errors import ConfigError


class Key(NamedTuple):
    """What a dataset is asked for."""

    epoch: int
    sample: int  # its index in the records
    batch: int = 0  # its number in the epoch
    again: int = 0  # how often the epoch has had this sample before


def _check(num_samples: int, batch_size: int, rank: int, world_size: int) -> None:
    if not 0 <= rank < world_size:
        raise ValueError(f"rank is {rank}; with world_size {world_size} it is 0 to {world_size - 1}")
    if batch_size < world_size:
        raise ConfigError(
            f"data.batch_size={batch_size} is the batch of all {world_size} processes; give at least one each"
        )
    if num_samples < world_size:
        raise ConfigError(f"{num_samples} samples cannot be shared out to {world_size} processes; use fewer processes")


class TrainBatches(Sampler[list[Key]]):
    """Yields the shuffled batches of an epoch as lists of keys.

    `batch_size` is that of all processes together: rank r takes every `world_size`-th of each global batch, from the
    r-th on. The order is a function of (seed, epoch). A last partial batch is dropped, unless it is the only one.

    Without `weights` an epoch has every sample once; with one weight a sample as many draws, each sample being drawn as
    often as its share of the weights says, rounded up or down.

    The position is state: `epoch`, and in `consumed` how many batches of it have been used (whoever uses them counts).
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        _check(num_samples, batch_size, rank, world_size)
        self.num_samples = num_samples
        self.weights = weights
        self.batch_size = min(batch_size, num_samples)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.consumed = 0
        self._start = 0

    @property
    def sampler(self) -> TrainBatches:
        """Itself: Lightning calls `set_epoch` on `loader.batch_sampler.sampler`."""
        return self

    def __len__(self) -> int:
        return self.num_samples // self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; the epoch that it is in already is not started again."""
        if epoch != self.epoch:
            self.seek(epoch, 0)

    def seek(self, epoch: int, batch: int) -> None:
        """Let the next iteration, and only that, begin at a batch of an epoch."""
        self.epoch = epoch
        self.consumed = self._start = batch

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, start = self.epoch, self._start
        self.consumed, self._start = start, 0
        order, again = self._order(epoch)
        for batch in range(start, len(self)):
            part = slice(batch * self.batch_size + self.rank, (batch + 1) * self.batch_size, self.world_size)
            pairs = zip(order[part].tolist(), again[part].tolist(), strict=True)
            yield [Key(epoch, index, batch, times) for index, times in pairs]

    def _order(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the samples of an epoch, and how often each of them has been drawn before."""
        rng = np.random.default_rng((self.seed, epoch))
        if self.weights is None:
            order = rng.permutation(self.num_samples)
            return order, np.zeros_like(order)
        order = draw(self.weights, rng)
        by_sample = np.argsort(order, kind="stable")
        same = order[by_sample]
        again = np.empty_like(order)
        again[by_sample] = np.arange(len(order)) - np.searchsorted(same, same)
        return order, again


class EvalBatches(Sampler[list[Key]]):
    """Yields every sample exactly once over all ranks, in order, and the same number of batches on every rank.

    `batch_size` is that of all processes together. A last global batch with fewer samples than processes is merged
    into the one before it, so no rank comes away with an empty batch and nothing is padded.
    """

    def __init__(self, num_samples: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        _check(num_samples, batch_size, rank, world_size)
        self.num_samples = num_samples
        self.rank = rank
        starts = list(range(0, num_samples, batch_size))
        if num_samples - starts[-1] < world_size:
            starts.pop()
        self._bounds = [*starts, num_samples]
        self.world_size = world_size

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __iter__(self) -> Iterator[list[Key]]:
        for first, last in zip(self._bounds[:-1], self._bounds[1:], strict=True):
            yield [Key(0, index) for index in range(first + self.rank, last, self.world_size)]
