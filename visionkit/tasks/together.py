"""Draw what several heads see in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visionkit.tasks.base import Task
from visionkit.tasks.drawing import enlarge
from visionkit.types import LABEL_KINDS, Image


def draw_together(image: Image, results: Sequence[tuple[Task, Any]]) -> Image:
    """Draw results on one copy of the user's image (RGB), enlarged if tiny: masks under boxes, captions below.

    Of one task alone it is what its `draw` gives.
    """
    if len(results) == 1:
        ((task, result),) = results
        return task.draw(image, result)
    picture, factor = enlarge(image)
    ordered = sorted(results, key=lambda one: LABEL_KINDS.index(one[0].kind))
    for task, result in ordered:
        picture = task.paint(picture, factor, result)
    captioned = [task.caption(picture, result) for task, result in ordered]  # each measures its letters by the picture
    height = len(picture)
    captioned = [one for one in captioned if len(one) > height] or [picture]
    return np.concatenate([captioned[0], *(one[height:] for one in captioned[1:])])
