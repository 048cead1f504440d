from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from visionkit.data.augmentation.augment import Augment
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Fit
from visionkit.data.loader import ResumableLoader, plain_loader
from visionkit.data.records import Records
from visionkit.data.sample import KINDS
from visionkit.data.sampler import TrainBatches
from visionkit.errors import ConfigError
from visionkit.types import Batch


def loader(
    records: Records, workers: int = 0, rank: int = 0, world_size: int = 1, batch_size: int = 2, seed: int = 5
) -> ResumableLoader:
    augment = Augment(
        spatial=[{"HorizontalFlip": {"p": 0.5}}, {"Affine": {"rotate": [-20, 20], "p": 0.7}}],
        pixel=[{"GaussNoise": {"p": 0.5}}],
    )
    samples = Samples(records, Fit((16, 16)), KINDS, augment, seed)
    return ResumableLoader(samples, TrainBatches(len(samples), batch_size, seed, rank, world_size), workers)


def same(one: Batch, other: Batch) -> bool:
    pairs = zip((*one[:1], *one[1], *one[2:]), (*other[:1], *other[1], *other[2:]), strict=True)
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


def epochs(load: ResumableLoader, number: int) -> list[Batch]:
    made: list[Batch] = []
    for epoch in range(number):
        load.batches.set_epoch(epoch)
        made += load
    return made


def test_workers_change_nothing(records: Records) -> None:
    alone, helped = epochs(loader(records), 2), epochs(loader(records, workers=2), 2)
    assert len(alone) == len(helped) == 10
    assert all(same(a, b) for a, b in zip(alone, helped, strict=True))
    assert not same(alone[0], alone[5])


def test_two_processes_see_what_one_sees(records: Records) -> None:
    one = epochs(loader(records, batch_size=4), 2)
    ranks = [epochs(loader(records, rank=rank, world_size=2, batch_size=4), 2) for rank in range(2)]
    for number, batch in enumerate(one):
        for rank in range(2):
            assert torch.equal(ranks[rank][number].images, batch.images[rank::2])
            assert torch.equal(ranks[rank][number].ids, batch.ids[rank::2])


@pytest.mark.parametrize(
    ("consumed", "before", "after"), [(0, 0, 0), (1, 0, 0), (3, 0, 0), (5, 0, 0), (7, 0, 0), (3, 2, 0), (3, 0, 2)]
)
def test_resumed_loader_goes_on_where_it_stopped(records: Records, consumed: int, before: int, after: int) -> None:
    full = epochs(loader(records), 2)
    stopped = loader(records, workers=before)
    for _ in zip(range(consumed), _endless(stopped), strict=False):
        pass
    state = stopped.state_dict()
    resumed = loader(records, workers=after)
    resumed.load_state_dict(state)
    rest = [batch for _, batch in zip(range(len(full) - consumed), _endless(resumed), strict=False)]
    assert len(rest) == len(full) - consumed
    assert all(same(a, b) for a, b in zip(full[consumed:], rest, strict=True))


def _endless(load: ResumableLoader) -> Any:
    while True:
        yield from load


def test_a_taken_state_can_go_on_in_the_same_loader(records: Records) -> None:
    load = loader(records)
    full = list(load)
    load.batches.set_epoch(0)
    load.load_state_dict({**load.state_dict(), "batch": 2})
    assert len(load) == 5
    assert all(same(a, b) for a, b in zip(full[2:], load, strict=True))


def test_a_run_can_be_stopped_twice(records: Records) -> None:
    full = list(loader(records))
    state = {**loader(records).state_dict(), "batch": 2}
    second = loader(records)
    second.load_state_dict(state)
    next(iter(second))
    third = loader(records)
    third.load_state_dict(second.state_dict())
    assert all(same(a, b) for a, b in zip(full[3:], third, strict=True))


def test_state_counts_batches_handed_out_not_prepared(records: Records) -> None:
    load = loader(records, workers=2)
    iterator = iter(load)
    next(iterator)
    assert load.state_dict()["batch"] == 1
    assert load.state_dict()["epoch"] == 0
    for _ in range(4):
        next(iterator)
    assert (load.state_dict()["epoch"], load.state_dict()["batch"]) == (1, 0)
    load.batches.set_epoch(1)
    assert (load.state_dict()["epoch"], load.state_dict()["batch"]) == (1, 0)


def test_broken_off_iteration_starts_again(records: Records) -> None:
    load = loader(records)
    first = next(iter(load))
    assert same(first, next(iter(load)))


def test_loading_draws_nothing_from_the_global_stream(records: Records) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    list(loader(records))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("change", [{"batch_size": 5}, {"seed": 6}])
def test_mid_epoch_state_of_another_run_is_refused(records: Records, change: dict[str, int]) -> None:
    load = loader(records)
    next(iter(load))
    key, value = next(iter(change.items()))
    with pytest.raises(ConfigError, match=f"{key}=.* cannot go on with {value}"):
        loader(records, **change).load_state_dict(load.state_dict())
    loader(records, **change).load_state_dict({**load.state_dict(), "batch": 0})


def test_plain_loader_keeps_order_and_pixels(records: Records) -> None:
    batches = list(plain_loader(records, Fit((12, 16)), 4, ("labels",)))
    assert [batch.ids.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert torch.equal(batches[2].images.permute(0, 2, 3, 1), torch.from_numpy(records.images[8:10]))  # type: ignore[index]
    second = list(plain_loader(records, Fit((12, 16)), 4, ("labels",), rank=1, world_size=2))
    assert [batch.ids.tolist() for batch in second] == [[1, 3], [5, 7], [9]]


class Diary(LightningModule):
    """Notes which images each training step gets."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[list[int], int]] = []

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        self.seen.append((batch.ids.tolist(), int(batch.images.long().sum())))
        return self.weight * 0

    def validation_step(self, batch: Batch, _: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    records: Records, folder: Path, stop: int = -1, resume: Path | None = None, workers: int = 0, **options: Any
) -> list[tuple[list[int], int]]:
    module = Diary()
    trainer = Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False, max_steps=stop,
        enable_model_summary=False, max_epochs=4, num_sanity_val_steps=0, use_distributed_sampler=False,
        callbacks=[ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)], **options,
    )  # fmt: skip
    val = plain_loader(records, Fit((16, 16)), 4, ("labels",))
    trainer.fit(module, loader(records, workers), val, ckpt_path=resume, weights_only=True)
    return module.seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stop", [1, 3, 5, 7, 10, 13])
def test_lightning_resumes_in_mid_epoch(records: Records, tmp_path: Path, stop: int) -> None:
    """5 batches an epoch: stops at the first, inside an epoch, at an epoch's end."""
    full = fit(records, tmp_path / "full")
    assert len(full) == 20
    assert len({tuple(index for ids, _ in full[e * 5 : e * 5 + 5] for index in ids) for e in range(4)}) == 4
    resumed = fit(records, tmp_path / "rest", resume=tmp_path / f"full/step={stop}.ckpt")
    assert resumed == full[stop:]


@pytest.mark.filterwarnings("ignore")
def test_lightning_resumes_with_workers_and_limited_batches(records: Records, tmp_path: Path) -> None:
    options = {"limit_train_batches": 3, "workers": 2}
    full = fit(records, tmp_path / "full", **options)
    assert len(full) == 12
    assert fit(records, tmp_path / "rest", resume=tmp_path / "full/step=4.ckpt", **options) == full[4:]
    assert fit(records, tmp_path / "more", resume=tmp_path / "full/step=6.ckpt", **options) == full[6:]
