"""Sum numbers over the processes of a distributed run."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Return the number of processes; 1 when nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@torch.no_grad()
def total(count: Tensor) -> Tensor:
    """Return the sum of a count over all processes, as float32."""
    count = count.detach().float().clone()
    if world_size() > 1:
        dist.all_reduce(count)
    return count


@torch.no_grad()
def normaliser(count: Tensor) -> Tensor:
    """Return what a local sum is divided by so that DDP's mean over ranks equals one process's gradient.

    With n_r counted items on rank r of R, a loss sum_r / (sum over ranks of n / R), averaged over ranks by
    DDP, is the global sum over the global count. Clamped from below so that nothing to count gives 0, not NaN.
    """
    ranks = world_size()
    return (total(count) / ranks).clamp(min=1.0 / ranks)
