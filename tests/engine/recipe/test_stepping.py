"""Any optimizer that can train a network is taken, and one that cannot is refused before the training."""

from __future__ import annotations

import pytest
import torch

from visionkit.engine.recipe import stepping
from visionkit.errors import ConfigError


@pytest.mark.parametrize("name", ["RMSprop", "Adam", "NAdam", "Rprop", "Adafactor", "SGD"])
def test_optimizers_that_step_are_taken(name: str) -> None:
    stepping.check({"_target_": f"torch.optim.{name}", "lr": 0.01})


@pytest.mark.parametrize(
    ("name", "reason"),
    [("LBFGS", "parameter groups"), ("SparseAdam", "dense gradients"), ("Muon", "only supports 2D parameters")],
)
def test_optimizers_that_cannot_are_refused(name: str, reason: str) -> None:
    assert hasattr(torch.optim, name)
    with pytest.raises(ConfigError) as raised:
        stepping.check({"_target_": f"torch.optim.{name}", "lr": 0.01})
    assert str(raised.value).startswith(f"optimizer._target_=torch.optim.{name} cannot train")
    assert reason in str(raised.value)
    assert str(raised.value).endswith("choose another, such as torch.optim.RMSprop")


def test_a_wrong_value_is_not_laid_to_the_optimizer() -> None:
    with pytest.raises(ConfigError, match=r"^Invalid learning rate: -1"):
        stepping.check({"_target_": "torch.optim.SGD", "lr": -1})
