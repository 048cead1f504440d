"""Batch sizes tried in a training, and what happens when memory ends."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainings import composed, frozen
from visionkit.config.frozen import thaw
from visionkit.engine.launch import launch
from visionkit.engine.module import VisionModule
from visionkit.engine.quiet import start_log
from visionkit.engine.setup import Setup, set_up
from visionkit.engine.tuning import batch, sizes
from visionkit.engine.worker import work
from visionkit.errors import UserError

TINY = ("data.batch_size=4",)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time as few batches as a speed can be told from."""
    monkeypatch.setattr(batch, "SECONDS", 0.0)


def limited(monkeypatch: pytest.MonkeyPatch, room: int, message: str = "CUDA out of memory. Tried to allocate") -> None:
    """Let memory end above a number of images."""
    step = VisionModule.training_step

    def training_step(self: VisionModule, given: Any, batch_idx: int) -> torch.Tensor:
        if len(given.images) > room:
            raise torch.OutOfMemoryError(message)
        return step(self, given, batch_idx)

    monkeypatch.setattr(VisionModule, "training_step", training_step)


def set_up_in(run_dir: Path, *overrides: str) -> Setup:
    folder = frozen(run_dir, *TINY, "tune=batch", *overrides)
    return set_up(thaw(folder), folder, progress_bar=False)


def test_a_cpu_is_given_the_smallest_that_is_quick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch.sizes, "quickest", lambda rows: rows[1].batch_size)  # timing is for test_sizes
    run_dir = frozen(tmp_path / "run", *TINY, "tune=batch", "trainer.accumulate_grad_batches=2", "data.num_scenes=12")
    assert work(run_dir) is None
    assert sorted(path.name for path in run_dir.iterdir()) == ["batch.json", "batch.svg", "config.yaml", "train.log"]
    found = json.loads((run_dir / "batch.json").read_text())
    tried = [row["batch_size"] for row in found["rows"]]
    assert tried == [2, 4, 8][: len(tried)]
    assert len(tried) >= 3
    assert all(row["images_per_second"] > 0 for row in found["rows"])
    assert [row["peak_memory"] for row in found["rows"]] == sorted(row["peak_memory"] for row in found["rows"])
    assert (found["suggestion"], found["configured"], found["device"]) == (4, 4, "cpu")
    assert found["limit"] > found["rows"][-1]["peak_memory"]
    assert shlex.split(found["command"])[-1] == "data.batch_size=4"
    assert "tune=lr" not in capsys.readouterr().out  # the batch did not change, nor need the rate


def test_memory_that_ends_ends_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limited(monkeypatch, room=5)
    monkeypatch.setattr(sizes, "by_speed", lambda measure, most, floor, limit: sizes.by_memory(measure, most))
    monkeypatch.setattr(sizes, "quickest", lambda rows: sizes.largest(rows, 6))
    start_log(None)
    setup = set_up_in(tmp_path / "run", "data.batch_size=8")
    before = {name: value.clone() for name, value in setup.module.network.named_parameters()}
    batch.tune(setup, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "batch.json").read_text())
    assert [row["batch_size"] for row in found["rows"]] == [2, 4, 5]
    assert found["does_not_fit"] == 6
    assert found["suggestion"] == 4
    for name, value in setup.module.network.named_parameters():
        assert torch.equal(before[name], value), name  # at a rate of 0 nothing is learned
    assert "with tune=lr" in capsys.readouterr().out


def test_nothing_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, room=0, message="DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    with pytest.raises(UserError, match=r"not even 2 images fit in memory; lower data\.size"):
        batch.tune(set_up_in(tmp_path / "run"), tmp_path / "run")


def test_another_failure_is_not_taken_for_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(VisionModule, "training_step", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        batch.tune(set_up_in(tmp_path / "run"), tmp_path / "run")


def test_the_largest_of_several_sizes_has_to_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    step = VisionModule.training_step

    def training_step(self: VisionModule, given: Any, batch_idx: int) -> torch.Tensor:
        seen.append(tuple(given.images.shape))
        return step(self, given, batch_idx)

    monkeypatch.setattr(VisionModule, "training_step", training_step)
    setup = set_up_in(tmp_path / "run", "augment.multi_scale=[1,2]", "data.num_scenes=8")
    batch.tune(setup, tmp_path / "run")
    assert {shape[2:] for shape in seen} == {(64, 64)}


def test_a_stopwatch_leaves_the_first_step_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # Four batches of 8 are a step: the first four warm up; the next three take 2 s each.
    ticks = iter([100.0, 120.0, 130.0, 140.0, 142.0, 144.0, 146.0])
    monkeypatch.setattr(batch.time, "perf_counter", lambda: next(ticks))
    watch = batch.Stopwatch()
    module: Any = nn.Linear(1, 1)
    module.device = torch.device("cpu")
    given: Any = type("Batch", (), {"images": torch.zeros(8)})
    for number in range(1, 8):
        trainer: Any = type("Trainer", (), {"global_step": number // 4, "should_stop": False})
        watch.on_train_batch_end(trainer, module, None, given, 0)
        assert trainer.should_stop is (number == 7)
    assert watch.images_per_second == pytest.approx(8 / 2)


def test_a_run_that_could_not_begin_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, room=0)
    monkeypatch.chdir(tmp_path)
    config = composed(*TINY, "tune=batch", "run_dir=mine")
    with pytest.raises(UserError, match="not even 2"):
        launch(config, {"task": "classification"})
    assert not (tmp_path / "mine").exists()
