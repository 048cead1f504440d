"""Paint textured backgrounds with distractors that are no digits."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_DISTRACTORS: Final = 3


def paint_backdrop(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Return an (H, W, 3) background: a colour, soft patches, a slope of light, and up to four distractors."""
    level = rng.uniform(50, 205)
    colour = level + rng.normal(0, 16, 3)
    patches = rng.normal(0, rng.uniform(4, 14), (5, 5, 3)) + rng.normal(0, 8, (5, 5, 1))
    texture = cv2.resize(patches.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    slope_y, slope_x = rng.uniform(-18, 18, 2)
    light = np.linspace(-slope_y, slope_y, height)[:, None] + np.linspace(-slope_x, slope_x, width)
    canvas: NDArray[np.uint8] = np.clip(texture + colour + light[..., None], 0, 255).astype(np.uint8)
    for _ in range(rng.integers(0, MAX_DISTRACTORS + 1)):
        _paint_distractor(rng, canvas, colour)
    return canvas


def _paint_distractor(rng: np.random.Generator, canvas: NDArray[np.uint8], colour: NDArray[np.float64]) -> None:
    """Add a hair line, a filled ellipse or a speckled blob: long, solid or ragged, as no digit is."""
    height, width = canvas.shape[:2]
    unit = min(height, width) / 64
    tone = np.clip(colour + rng.choice([-1, 1]) * rng.uniform(18, 60) + rng.normal(0, 14, 3), 0, 255)
    paint = [float(value) for value in tone]
    centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
    shape = rng.integers(0, 3)
    if shape == 0:
        direction = rng.uniform(0, np.pi)
        reach = rng.uniform(0.5, 1.0) * max(height, width)
        along = np.linspace(-reach, reach, 9) / 2
        bend = rng.uniform(-0.12, 0.12) * reach * (along / reach * 2) ** 2
        x = centre[0] + along * np.cos(direction) - bend * np.sin(direction)
        y = centre[1] + along * np.sin(direction) + bend * np.cos(direction)
        points = np.stack([x, y], axis=1).round().astype(np.int32)
        cv2.polylines(canvas, [points], False, paint, thickness=1, lineType=cv2.LINE_AA)
    elif shape == 1:
        axes = (int(rng.uniform(2, 8) * unit) + 1, int(rng.uniform(2, 8) * unit) + 1)
        cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, paint, thickness=-1, lineType=cv2.LINE_AA)
    else:
        spots = rng.normal(0, 4 * unit, (12, 2)) + centre
        for x, y in spots.round().astype(int).tolist():
            cv2.circle(canvas, (x, y), int(rng.integers(1, 3)), paint, thickness=-1, lineType=cv2.LINE_AA)
