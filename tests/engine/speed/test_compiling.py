"""A compiled training is the training, and translates a network a handful of times at most."""

from __future__ import annotations

from functools import partialmethod
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from tests.trainings import composed, frozen
from visionkit.config.frozen import thaw
from visionkit.engine.checkpoint import load_model
from visionkit.engine.preflight import check
from visionkit.engine.setup import Setup, set_up
from visionkit.errors import ConfigError


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> CompileCounter:
    """Count graphs, and run them without translating them into kernels. A break in a graph is an error."""
    torch._dynamo.reset()
    counter = CompileCounter()
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=counter, fullgraph=True))
    return counter


def trained(run_dir: Path, *overrides: str) -> Setup:
    setup = set_up(thaw(frozen(run_dir, *overrides)), run_dir, progress_bar=False)
    setup.trainer.fit(setup.module, setup.data)
    return setup


def same(one: Setup, other: Setup, tolerance: float) -> None:
    """Hold the weights and losses of two trainings to each other."""
    states = one.module.network.state_dict(), other.module.network.state_dict()
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=tolerance, atol=tolerance, msg=name)
    assert one.history.losses == pytest.approx(other.history.losses, rel=tolerance)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "task", ["classification", *(pytest.param(name, marks=SLOW) for name in ("detection", "segmentation", "multitask"))]
)
def test_few_graphs_and_none_broken(tmp_path: Path, counted: CompileCounter, task: str) -> None:
    """Training batches of many sizes; evaluation ends with a smaller batch. The checkpoint opens without compiling."""
    settings = (f"task={task}", "augment.multi_scale=[0.5,1.5]", "optimizer=sgd", "optimizer.lr=1e-3")
    one = trained(tmp_path / "one", *settings, "compile=true")
    first = counted.frame_count
    assert 2 <= first <= 4  # in training and in evaluation: of the first size, and of any
    two = trained(tmp_path / "two", *settings, "compile=false")
    assert counted.frame_count == first
    same(one, two, 1e-5)
    with torch.no_grad():
        load_model(one.best.best_model_path).network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert counted.frame_count == first


def test_without_a_compiler_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"compile=true needs a C\+\+ compiler.*no-such-compiler is not there"):
        check(composed("compile=true"))


@pytest.mark.slow
def test_kernels_give_the_same(tmp_path: Path) -> None:
    """One translation of a small backbone and its head, for training and for evaluation."""
    torch._dynamo.reset()
    settings = ("backbone=lenet", "optimizer=sgd", "optimizer.lr=1e-3", "data.size=32")
    same(trained(tmp_path / "one", *settings, "compile=true"), trained(tmp_path / "two", *settings), 1e-4)
