"""Give every class a colour that tells it from the others, for colour-blind eyes too."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIZE: Final = 256
"""Different colours; class 256 has the colour of class 0 again."""

# Okabe and Ito, "Color Universal Design", 2008, without black, which vanishes on dark pictures.
_FIRST = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233), (240, 228, 66))

# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009,
# table 1, full severity; they act on linear RGB.
_EYES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ]
)
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # sRGB, D65


def colour(index: int) -> tuple[int, int, int]:
    """Return the RGB colour of class `index`, 0 to 255 each."""
    red, green, blue = colours()[index % SIZE].tolist()
    return red, green, blue


@lru_cache(maxsize=1)
def colours() -> NDArray[np.uint8]:
    """Return the table (SIZE, 3) of RGB colours.

    After the seven of Okabe and Ito each colour is the one of a lattice farthest from all before it, as
    the worst of a normal, a protanopic and a deuteranopic eye sees it. Very dark and very light ones are left out.
    """
    steps = np.linspace(0, 255, 14)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    candidates = np.concatenate([np.array(_FIRST, dtype=np.float64), lattice])
    seen = _seen(candidates)  # (3 eyes, N, Lab)
    lightness = seen[0, :, 0]
    chosen = list(range(len(_FIRST)))
    distance = np.where((lightness > 35) & (lightness < 92), np.inf, -np.inf)
    for i in range(SIZE):
        if i == len(chosen):
            chosen.append(int(distance.argmax()))
        worst = np.linalg.norm(seen - seen[:, chosen[i] : chosen[i] + 1], axis=-1).min(axis=0)
        distance = np.minimum(distance, worst)
    table = candidates[chosen].round().astype(np.uint8)
    table.flags.writeable = False
    return table


def _seen(rgb_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return CIELAB coordinates (3, N, 3) of sRGB colours for three kinds of eyes."""
    value = rgb_N3 / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(np.einsum("eij,nj->eni", _EYES, linear), 0, 1) @ _XYZ.T / _XYZ.sum(axis=1)
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
