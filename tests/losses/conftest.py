"""Simulate a run of two ranks in one process."""

from collections.abc import Callable

import pytest
import torch

from visionkit.ops import ranks

Losses = list[dict[str, torch.Tensor]]


@pytest.fixture
def two_ranks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Losses]], dict[str, float]]:
    """Return a function: losses of rank 0 and rank 1 in, the terms that DDP's mean over both makes of them out.

    The losses are computed again and again: each time with the counts of the time before summed over the ranks, until
    these stay the same, since what one sum gives may go into the next.
    """

    def run(both: Callable[[], Losses]) -> dict[str, float]:
        sums: list[torch.Tensor] = []
        seen: list[torch.Tensor] = []

        def all_reduce(count: torch.Tensor) -> None:
            seen.append(count.clone())
            if sums:
                count.copy_(sums[(len(seen) - 1) % len(sums)])

        monkeypatch.setattr(ranks, "world_size", lambda: 2)
        monkeypatch.setattr(ranks.dist, "all_reduce", all_reduce)
        for _ in range(4):
            seen.clear()
            first, second = both()
            half = len(seen) // 2
            sums[:] = [seen[i] + seen[i + half] for i in range(half)]
        monkeypatch.undo()
        return {name: ((first[name] + second[name]) / 2).item() for name in first}

    return run
