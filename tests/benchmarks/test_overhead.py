"""The bare loop takes the step that a training takes, and the tables say what was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, overhead
from benchmarks.turns import WARM_UP, Measured, Pair, Some, Turns, bare, compare, made
from tests.trainings import frozen
from visionkit.config.frozen import thaw
from visionkit.engine.setup import set_up

SLOWER = [Pair(5.0, 4.0), Pair(6.0, 4.0), Pair(9.0, 4.0), Pair(6.0, 4.0)]


def test_figures() -> None:
    assert overhead.milliseconds(SLOWER) == 2.0
    assert overhead.share(SLOWER) == 50.0
    assert overhead.gain(SLOWER) == pytest.approx(2 / 3)
    small, _, large, no_goal = overhead.CASES.values()
    assert overhead.reached(small, SLOWER)
    assert not overhead.reached(small._replace(goal=1.9), SLOWER)
    assert not overhead.reached(large, SLOWER)
    assert overhead.reached(large, [Pair(2.0, 3.0)])
    assert overhead.reached(no_goal, SLOWER)
    assert overhead.row("x", small, SLOWER)[1:] == ["4.00", "6.00", "2.00 ms more", "2.00 to 2.00", "at most 2.0"]
    assert gpu.ratio(Measured(SLOWER, 8, (0, 0))) == pytest.approx(2 / 3)
    line = gpu.row("x", Measured(SLOWER, 8, (2**30, 2**29)), compiled=True)
    assert line == ["x", "compiled", "2000", "1333", "0.667", "0.667 to 0.667", "0.50", "1.00"]


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_the_bare_step_is_a_training_s(tmp_path: Path, one_thread: None, precision: str) -> None:
    """From the same weights on the same batches; the schedule left out, which begins with a smaller rate."""
    settings = ("task=detection", "optimizer=sgd", "trainer.gradient_clip_val=0.1", "scheduler.warmup=0")
    run_dir = frozen(tmp_path / "run", *settings, f"trainer.precision={precision}")
    setup = set_up(thaw(run_dir), run_dir, progress_bar=False)
    batches = made(setup, torch.device("cpu"))
    step = bare(setup, torch.device("cpu"), plain=False)
    losses = [float(step(batch)) for batch in batches[:2]]
    setup.trainer.fit(setup.module, train_dataloaders=Some(batches[:2]), val_dataloaders=Some(batches[:1]))
    assert setup.history.first_loss == pytest.approx(losses[0], rel=1e-6)
    # The second step's rate is that of half of the training.
    assert setup.history.losses == [pytest.approx(sum(losses) / 2, rel=1e-5)]


def test_turns_alternate() -> None:
    said: list[str] = []
    turns = Turns(["a", "b"], lambda batch: said.append(f"bare {batch}"), 2, 3, torch.device("cpu"))  # type: ignore[arg-type, list-item, func-returns-value, return-value]
    assert len(turns) == 9
    for batch in turns:
        said.append(f"ours {batch}")
    assert said == [f"{side} {batch}" for side in ("ours", "bare", "ours", "bare", "ours") for batch in "aba"]
    assert len(turns.pairs) == 2


def test_a_comparison_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(("task=classification", "trainer=cpu", *gpu.TINY), pairs=2, steps=1)
    assert (len(found.pairs), found.batch_size, found.memory) == (2, 4, (0, 0))
    assert all(pair.ours > 0 and pair.bare > 0 for pair in found.pairs)
    assert capsys.readouterr().out == ""
    assert WARM_UP == 2


def test_the_table_of_a_gpu_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"needs a GPU.*--device cpu --tiny"):
        gpu.main()


@pytest.mark.slow
def test_its_parts_run_without_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--tiny", "--eager", "--pairs", "1"])
    gpu.main()
    out = capsys.readouterr().out
    assert all(name in out for name in gpu.CASES)
