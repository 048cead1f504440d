"""Draw how sizes are spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.engine.html import rect, svg, text

BINS = 24

_WIDE, _HIGH = 420, 120
_MARGIN = 8


def histogram(values: NDArray[Any], title: str, unit: str, *, logarithmic: bool = False) -> str:
    """Return bars of how often values come, with the least, median and largest below; nothing without values."""
    values = np.asarray(values, dtype=np.float64)
    values = values[values > 0] if logarithmic else values
    if not len(values):
        return ""
    low, high = float(values.min()), float(values.max())
    scaled, ends = (np.log(values), (np.log(low), np.log(high))) if logarithmic else (values, (low, high))
    bins = BINS if high > low else 1
    counts, edges = np.histogram(scaled, bins, ends if high > low else None)
    pitch = (_WIDE - 2 * _MARGIN) / bins
    marks = [text(_MARGIN, 14, title)]
    for number, count in enumerate(counts.tolist()):
        tall = count / counts.max() * _HIGH
        if count:
            marks.append(rect(_MARGIN + number * pitch, 22 + _HIGH - tall, pitch - 1, tall, "fill:var(--a)"))
    middle = float(np.median(scaled))
    share = (middle - edges[0]) / max(float(edges[-1] - edges[0]), 1e-9)
    marks.append(rect(_MARGIN + share * (_WIDE - 2 * _MARGIN), 20, 1.5, _HIGH + 4, "fill:var(--b)"))
    shown = f"{low:.4g} to {high:.4g} {unit}, median {float(np.median(values)):.4g}"
    marks.append(text(_MARGIN, 22 + _HIGH + 18, shown + (", logarithmic" if logarithmic else ""), dim=True))
    return svg(_WIDE, _HIGH + 48, marks, f"{title}: {shown}")
