"""Where tuning has no meaning it is refused before anything is built."""

from __future__ import annotations

import pytest
from omegaconf import open_dict

from tests.trainings import composed
from visionkit.config import checks


@pytest.mark.parametrize("tune", ["lr", "batch"])
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.devices=2"], ["trainer.devices=2", "add trainer.devices=1:"]),
        (["trainer.devices=auto"], ["trainer.devices=auto", "add trainer.devices=1:"]),
        (["+trainer.num_nodes=4", "trainer.devices=2"], ["and trainer.num_nodes=4; add trainer.devices=1 trainer.num"]),
    ],
)
def test_several_processes(tune: str, overrides: list[str], said: list[str]) -> None:
    (problem,) = checks.problems(composed(f"tune={tune}", *overrides))
    assert problem.startswith(f"tune={tune} runs in one process, but ")
    for part in said:
        assert part in problem
    assert not checks.problems(composed(*overrides))


@pytest.mark.parametrize("rate", ["optimizer.lr=0", "~optimizer.lr", "optimizer.lr=null"])
def test_no_rate(rate: str) -> None:
    (problem,) = checks.problems(composed("tune=lr", rate))
    assert problem.endswith("give optimizer.lr=0.001 or the like")
    assert not checks.problems(composed("tune=batch", "~optimizer.lr"))


def test_a_training_that_goes_on() -> None:
    config = composed("tune=lr")
    assert not checks.problems(config)
    with open_dict(config):
        config.resume = "auto"
    assert "tune=lr begins as a training does" in "\n".join(checks.problems(config))
