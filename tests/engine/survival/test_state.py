"""Random streams go on where they were."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visionkit.engine.survival.state import RunState, random_state, set_random_state
from visionkit.errors import ConfigError

CPU = torch.device("cpu")


def drawn() -> tuple[float, ...]:
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),  # noqa: NPY002
        np.random.standard_normal(),  # noqa: NPY002
        float(torch.rand(())),
    )


def test_all_streams_are_in_a_file_of_plain_data(tmp_path: Path) -> None:
    drawn()  # a Gaussian in store, of both that keep one
    torch.save(random_state(CPU), tmp_path / "state")
    first = drawn()
    assert all(one != other for one, other in zip(first, drawn(), strict=True))
    set_random_state(torch.load(tmp_path / "state", weights_only=True), CPU)
    assert drawn() == first


@pytest.mark.parametrize("limit", [None, -1, 3, 4])
def test_a_run_may_become_longer(limit: int | None) -> None:
    trainer, module, state = given(limit)
    RunState().on_load_checkpoint(trainer, module, state)


@pytest.mark.parametrize("limit", [0, 2])
def test_a_run_cannot_become_shorter_than_it_is(limit: int) -> None:
    with pytest.raises(ConfigError, match=rf"epochs={limit} but the run has trained for 3 epochs already; give 3 or"):
        RunState().on_load_checkpoint(*given(limit))


def given(limit: int | None) -> tuple[Any, Any, dict[str, Any]]:
    """Return a trainer of so many epochs, no module, and the checkpoint of three."""
    return SimpleNamespace(max_epochs=limit), None, {"epoch": 3, "run_state": {}}
