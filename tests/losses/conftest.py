"""Simulate a run of two ranks in one process."""

from collections.abc import Callable

import pytest
import torch

from visionkit.ops import ranks

Losses = list[dict[str, torch.Tensor]]


@pytest.fixture
def two_ranks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Losses]], dict[str, float]]:
    """Return a function: losses of rank 0 and rank 1 in, the terms that DDP's mean over both makes of them out.

    The losses are computed twice: once to see what each rank counts, once with these counts summed.
    """

    def run(both: Callable[[], Losses]) -> dict[str, float]:
        seen: list[torch.Tensor] = []
        monkeypatch.setattr(ranks, "world_size", lambda: 2)
        monkeypatch.setattr(ranks.dist, "all_reduce", lambda total: seen.append(total.clone()))
        both()
        half = len(seen) // 2
        sums = iter([seen[i % half] + seen[i % half + half] for i in range(2 * half)])
        monkeypatch.setattr(ranks.dist, "all_reduce", lambda total: total.copy_(next(sums)))
        first, second = both()
        monkeypatch.undo()
        return {name: ((first[name] + second[name]) / 2).item() for name in first}

    return run
