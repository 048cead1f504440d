"""Batches and an inverse geometry that the task tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from visionkit.types import Batch, Targets


class Twice:
    """The user's image was twice as large in both directions and is (height, width) in size."""

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)

    def boxes(self, boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = self.size
        return np.clip(boxes_N4 * 2, 0, [width, height, width, height]).astype(np.float32)

    def scores(self, scores_KHW: torch.Tensor) -> NDArray[np.float32]:
        return F.interpolate(scores_KHW[None], size=self.size, mode="bilinear")[0].numpy()


@pytest.fixture
def twice() -> type[Twice]:
    return Twice


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """Make a batch of `count` images of 6 x 8 pixels with the given targets; ids rise from `first`."""

    def make(count: int, first: int = 0, **targets: torch.Tensor) -> Batch:
        return Batch(
            images=torch.zeros(count, 3, 6, 8, dtype=torch.uint8),
            targets=Targets(**targets),
            ids=torch.arange(first, first + count),
            sizes=torch.tensor([[12, 16]]).repeat(count, 1),
        )

    return make
