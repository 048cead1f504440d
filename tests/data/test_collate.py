from __future__ import annotations

import pickle

import torch
from torch.utils.data import DataLoader

from visionkit.data.collate import SMALL, Collate, Sent
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Fit
from visionkit.data.records import Records
from visionkit.data.sample import KINDS
from visionkit.types import Batch


def same(one: Batch, other: Batch) -> None:
    pairs = [
        (one.images, other.images), (one.ids, other.ids), (one.sizes, other.sizes),
        *zip(one.targets, other.targets, strict=True),
    ]  # fmt: skip
    for mine, yours in pairs:
        assert (mine is None) == (yours is None)
        if mine is not None:
            assert mine.dtype == yours.dtype
            assert torch.equal(mine, yours)


def test_a_batch_arrives_from_a_worker_as_it_was_made(records: Records) -> None:
    samples = Samples(records, Fit((24, 24)), KINDS)
    keys = [[(0, index) for index in range(start, start + 5)] for start in (0, 5)]
    made = [Collate(instances=True)([samples[key] for key in batch]) for batch in keys]
    arrived = list(DataLoader(samples, batch_sampler=keys, collate_fn=Collate(instances=True), num_workers=1))
    for one, other in zip(made, arrived, strict=True):
        assert isinstance(other, Batch)
        assert other.images.is_contiguous(memory_format=torch.channels_last)
        same(one, other)


def test_large_tensors_stay_tensors_and_small_ones_travel_by_value(records: Records) -> None:
    samples = Samples(records, Fit((160, 160)), ("labels", "mask"))
    batch = Collate()([samples[0, index] for index in range(4)])
    assert batch.targets.mask is not None
    assert batch.targets.mask.nbytes > SMALL
    _, (images, targets, ids, _) = Sent(batch).__reduce__()
    assert isinstance(images, torch.Tensor)
    kinds = {type(each).__name__ for each in targets if each is not None}
    assert kinds == {"Tensor", "ndarray"}
    assert type(ids).__name__ == "ndarray"
    same(pickle.loads(pickle.dumps(Sent(batch))), batch)
