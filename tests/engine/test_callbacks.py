"""What is shown and counted of a training goes on with a resumed one."""

from __future__ import annotations

import pytest

from visionkit.engine.callbacks import EpochLog


def test_the_log_of_a_resumed_training_knows_the_best_and_the_seconds_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("visionkit.engine.callbacks.time.perf_counter", lambda: now[0])
    log = EpochLog("val/x")
    log.load_state_dict({"best": 0.9, "seconds": 50.0})
    log.on_fit_start(None, None)  # type: ignore[arg-type]
    now[0] += 4.0
    assert log.state_dict() == {"best": 0.9, "seconds": 54.0}
