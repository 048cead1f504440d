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
# Ottosson, "A perceptual color space for image processing", 2020: Oklab, which keeps blues apart as CIELAB does not.
_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


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
    seen = _seen(candidates)  # (3 eyes, N, Oklab)
    lightness = seen[0, :, 0]
    chosen = list(range(len(_FIRST)))
    distance = np.where((lightness > 0.42) & (lightness < 0.93), np.inf, -np.inf)
    for i in range(SIZE):
        if i == len(chosen):
            chosen.append(int(distance.argmax()))
        worst = np.linalg.norm(seen - seen[:, chosen[i] : chosen[i] + 1], axis=-1).min(axis=0)
        distance = np.minimum(distance, worst)
    table = candidates[chosen].round().astype(np.uint8)
    table.flags.writeable = False
    return table


def _seen(rgb_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Oklab coordinates (3, N, 3) of sRGB colours for three kinds of eyes."""
    value = rgb_N3 / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(np.clip(np.einsum("eij,nj->eni", _EYES, linear), 0, 1) @ _LMS.T) @ _LAB.T)
