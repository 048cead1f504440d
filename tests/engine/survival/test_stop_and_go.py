"""A training that a scheduler stops goes on as if it had not been stopped, even from the checkpoint before the last."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.dying import HOW, WHERE
from tests.engine.survival.test_going_on import EVERYTHING, assert_same, straight, threads  # noqa: F401
from tests.trainings import frozen
from visionkit.engine.fit import fit


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "step"), [("7", 5), ("9", 6), ("19", 12)])
def test_stopped_by_sigterm(
    straight: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: str,
    step: int,
) -> None:
    """Within an epoch, in its last batch, and in the last of all."""
    run = frozen(tmp_path / "run", *EVERYTHING)
    monkeypatch.setenv(WHERE, batch)
    monkeypatch.setenv(HOW, "SIGTERM")
    with pytest.raises(SystemExit) as ended:
        fit(run)
    monkeypatch.delenv(WHERE)
    assert ended.value.code == 143
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == step
    assert not (run / "result.json").exists()
    if batch == "7":  # the disk has lost half of it, and what is done again is the same
        last = run / "checkpoints/last.ckpt"
        last.write_bytes(last.read_bytes()[:50_000])
    fit(run)
    assert_same(straight, run)
