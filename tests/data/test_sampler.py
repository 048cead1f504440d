from __future__ import annotations

import numpy as np
import pytest

from visionkit.data.sampler import EvalBatches, TrainBatches
from visionkit.errors import ConfigError


def test_an_epoch_is_a_permutation_in_full_batches() -> None:
    batches = TrainBatches(num_samples=23, batch_size=5, seed=1)
    keys = list(batches)
    assert len(batches) == len(keys) == 4
    assert all(len(batch) == 5 for batch in keys)
    indices = [key.sample for batch in keys for key in batch]
    assert len(set(indices)) == 20
    assert set(indices) <= set(range(23))
    assert indices != sorted(indices)


@pytest.mark.parametrize("rank", [0, 1])
def test_keys_carry_the_number_of_their_batch(rank: int) -> None:
    batches = TrainBatches(20, 4, 0, rank, 2)
    assert [[key.batch for key in batch] for batch in batches] == [[number] * 2 for number in range(5)]
    batches.seek(3, 2)
    assert [{(key.epoch, key.batch) for key in batch} for batch in batches] == [{(3, 2)}, {(3, 3)}, {(3, 4)}]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def epoch(seed: int, number: int) -> list[list[tuple[int, int]]]:
        batches = TrainBatches(20, 5, seed)
        batches.set_epoch(number)
        return list(batches)

    assert epoch(1, 3) == epoch(1, 3)
    assert {key[0] for batch in epoch(1, 3) for key in batch} == {3}
    orders = {tuple(each.sample for batch in epoch(*key) for each in batch) for key in [(1, 3), (1, 4), (2, 3), (3, 1)]}
    assert len(orders) == 4


@pytest.mark.parametrize("world_size", [2, 3, 5])
@pytest.mark.parametrize("num_samples", [23, 7])
def test_ranks_share_the_global_batches_of_one_process(world_size: int, num_samples: int) -> None:
    one = list(TrainBatches(num_samples, 8, 0))
    shares = [list(TrainBatches(num_samples, 8, 0, rank, world_size)) for rank in range(world_size)]
    assert {len(share) for share in shares} == {len(one)}
    for number, batch in enumerate(one):
        for rank, share in enumerate(shares):
            assert share[number] == batch[rank::world_size]


def test_the_only_batch_may_be_partial() -> None:
    batches = TrainBatches(3, 8, 0)
    assert [len(batch) for batch in batches] == [3]
    assert len(batches) == 1


def test_seek_holds_for_one_iteration() -> None:
    batches = TrainBatches(20, 5, 0)
    full = list(batches)
    batches.seek(0, 2)
    batches.set_epoch(0)  # the same epoch: the position stays
    assert list(batches) == full[2:]
    assert list(batches) == full
    batches.seek(0, 2)
    batches.set_epoch(1)
    assert [batch[0][0] for batch in batches] == [1] * 4


@pytest.mark.parametrize("num_samples", [1, 2, 3, 7, 8, 9, 16, 17, 23, 25])
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [3, 4, 8])
def test_evaluation_sees_every_sample_once(num_samples: int, world_size: int, batch_size: int) -> None:
    if num_samples < world_size:
        with pytest.raises(ConfigError, match=f"{num_samples} samples cannot be shared out"):
            EvalBatches(num_samples, batch_size, 0, world_size)
        return
    shares = [EvalBatches(num_samples, batch_size, rank, world_size) for rank in range(world_size)]
    lists = [list(share) for share in shares]
    assert {len(share) for share in shares} == {len(share) for share in lists} == {len(lists[0])}
    assert all(batch for share in lists for batch in share)
    seen = sorted(key.sample for share in lists for batch in share for key in batch)
    assert seen == list(range(num_samples))
    assert max(len(batch) for share in lists for batch in share) <= -(-batch_size // world_size) + 1


def test_small_last_batch_is_merged() -> None:
    assert [[len(batch) for batch in EvalBatches(9, 4, rank, 2)] for rank in range(2)] == [[2, 3], [2, 2]]


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size=2 .* 3 processes"):
        TrainBatches(10, 2, 0, 0, 3)
    with pytest.raises(ValueError, match="0 to 1"):
        TrainBatches(10, 2, 0, 2, 2)


WEIGHTS = np.asarray([1.0] * 19 + [5.0])  # the last sample's share is 20 * 5 / 24 = 4.17 of an epoch


def test_weights_draw_an_epoch_of_the_same_length_and_tell_repetitions_apart() -> None:
    batches = TrainBatches(20, 5, 1, weights=WEIGHTS)
    assert len(batches) == 4
    seen = set()
    for epoch in range(30):
        batches.set_epoch(epoch)
        keys = [key for batch in batches for key in batch]
        assert len(keys) == len(set(keys)) == 20
        last = [key for key in keys if key.sample == 19]
        assert len(last) in (4, 5)
        assert [(key.epoch, key.again) for key in last] == [(epoch, again) for again in range(len(last))]
        assert all(key.again == 0 for key in keys if key.sample != 19)
        seen.add(tuple(keys))
    assert len(seen) == 30


def test_without_weights_the_order_is_that_of_a_permutation() -> None:
    order = np.random.default_rng((7, 3)).permutation(23)
    batches = TrainBatches(23, 5, 7, 1, 2)
    batches.set_epoch(3)
    assert list(batches) == [[(3, index, b, 0) for index in order[b * 5 : b * 5 + 5][1::2].tolist()] for b in range(4)]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_and_resumed_epochs_share_what_is_drawn(world_size: int) -> None:
    one = list(TrainBatches(20, 6, 0, weights=WEIGHTS))
    for rank in range(world_size):
        share = TrainBatches(20, 6, 0, rank, world_size, WEIGHTS)
        assert list(share) == [batch[rank::world_size] for batch in one]
        share.seek(0, 2)
        assert list(share) == [batch[rank::world_size] for batch in one[2:]]
