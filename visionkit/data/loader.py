"""Load batches, in training so that a run goes on in mid-epoch exactly where it stopped."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from visionkit.data.collate import Collate
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Resize
from visionkit.data.pictures.cache import Cache
from visionkit.data.pictures.copies import Copies
from visionkit.data.records import Records
from visionkit.data.sample import Sample
from visionkit.data.sampler import EvalBatches, TrainBatches
from visionkit.data.skipping import Forgiving, Skipped
from visionkit.errors import ConfigError
from visionkit.types import Batch

MOST_AHEAD: Final = 4
"""Batches that one worker prepares ahead at most: enough to even out slow files."""

AHEAD_BYTES: Final = 2**28
"""What all batches prepared ahead may take up about, in memory that workers share with the main process."""


def start_worker(_: int) -> None:
    """Keep a worker to one thread, and let signals be the main process's to answer: schedulers send them to all.

    OpenCV starts a thread a core otherwise, and its pool does not survive a fork.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_the_main_process, args=(os.getppid(),), daemon=True).start()


def _end_with_the_main_process(parent: int) -> None:
    """End at SIGTERM from the main process, which means this worker, and stay for what was sent to all."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


class ResumableLoader(DataLoader[Sample]):
    """Loads training batches; its state counts the batches that were handed out, not those that workers prepared.

    The state holds for any number of workers and processes, as long as the samples, the global batch size and the seed
    are the same. An iteration that ends moves on to the next epoch; one that is broken off starts its epoch again.
    """

    def __init__(
        self, samples: Samples, batches: TrainBatches, workers: int = 0, skipped: Skipped | None = None
    ) -> None:
        per_rank = batches.batch_size // batches.world_size
        settings = _settings(samples, workers, per_rank)
        super().__init__(_dataset(samples, skipped), batch_sampler=batches, **settings)
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # A generator: the position is read at the first batch, because Lightning makes the iterator before it
        # restores the epoch.
        for batch in super().__iter__():
            self.batches.consumed += 1
            yield batch
        self.batches.set_epoch(self.batches.epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the next batch, as plain numbers, and what it depends on."""
        epoch, batch = self.batches.epoch, self.batches.consumed
        if batch >= len(self.batches):
            epoch, batch = epoch + 1, 0
        return {"epoch": epoch, "batch": batch, **self._depends_on()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration begin where the state was taken.

        Raises:
            ConfigError: In mid-epoch, with other samples, another batch size or another seed.
        """
        if state["batch"]:
            for key, value in self._depends_on().items():
                if state[key] != value:
                    raise ConfigError(
                        f"the run stopped in the middle of an epoch with {key}={state[key]} and cannot go on with "
                        f"{value}; resume with {key}={state[key]} or start a new run"
                    )
        self.batches.seek(int(state["epoch"]), int(state["batch"]))

    def _depends_on(self) -> dict[str, int]:
        batches = self.batches
        return {"num_samples": batches.num_samples, "batch_size": batches.batch_size, "seed": batches.seed}


def plain_loader(
    records: Records,
    resize: Resize,
    batch_size: int,
    kinds: Sequence[str],
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    skipped: Skipped | None = None,
    cache: Cache | None = None,
) -> DataLoader[Sample]:
    """Return a loader of a whole split, in order and without augmentation: for evaluation, pictures and baselines.

    `batch_size` is that of all processes together. With `skipped`, what cannot be read is noted there; with `cache`,
    samples are read from it where it has them.
    It yields `Batch`.
    """
    samples = Samples(records, resize, kinds, copies=None if cache is None else Copies(cache, resize))
    batches = EvalBatches(len(samples), batch_size, rank, world_size)
    settings = _settings(samples, workers, batch_size // world_size)
    return DataLoader(_dataset(samples, skipped), batch_sampler=batches, **settings)


def _dataset(samples: Samples, skipped: Skipped | None) -> Dataset[Sample]:
    return samples if skipped is None else Forgiving(samples, skipped)


def prefetched(size: tuple[int, int], batch_size: int, workers: int) -> int | None:
    """Return how many batches each worker prepares ahead, from 2 to `MOST_AHEAD`; None without workers."""
    if not workers:
        return None
    batch = 3 * math.prod(size) * batch_size
    return min(MOST_AHEAD, max(2, AHEAD_BYTES // (batch * workers)))


def _settings(samples: Samples, workers: int, batch_size: int) -> dict[str, Any]:
    return {
        "num_workers": workers,
        "prefetch_factor": prefetched(samples.resize.size, batch_size, workers),
        "collate_fn": Collate("instances" in samples.kinds),
        "worker_init_fn": start_worker,
        "persistent_workers": workers > 0,
        "pin_memory": torch.cuda.is_available(),
        "generator": torch.Generator(),  # of its own: loading draws nothing from the stream that dropout uses
    }
