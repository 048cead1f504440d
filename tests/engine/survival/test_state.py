"""Random streams go on where they were."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from visionkit.engine.survival.state import random_state, set_random_state

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
