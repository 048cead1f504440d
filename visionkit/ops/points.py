"""Lay out the centres of the cells of feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_centres(
    sizes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device, offset: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Return the centres (P, 2) as x, y in pixels and the stride (P,) of all cells, map by map, row by row.

    `sizes` are (height, width) in cells. A cell spans stride x stride pixels from the image's upper left corner on.
    `offset` is where in its cell a point lies, in strides along both axes: 0 is the upper left corner.
    """
    points, steps = [], []
    for (height, width), stride in zip(sizes, strides, strict=True):
        y = (torch.arange(height, dtype=torch.float32, device=device) + offset) * stride
        x = (torch.arange(width, dtype=torch.float32, device=device) + offset) * stride
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        points.append(torch.stack([columns, rows], dim=-1).reshape(-1, 2))
        steps.append(torch.full((height * width,), float(stride), device=device))
    return torch.cat(points), torch.cat(steps)
