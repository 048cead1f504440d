"""Tell whether two pictures are one: lay one onto the other and see how well what remains agrees."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from visionkit.engine.doctor.looking import DETAIL, SIDE
from visionkit.engine.doctor.similar import WINDOWS, views

SAME: Final = 0.92
"""The agreement from which on two pictures are one, where one of them lies within the other.

Measured on five data sets by benchmarks/doctor.py: of 7,911 copies (JPEG at 50 to 90, resized, made square, brightened,
3 to 10 % cut off anywhere) all but four agreed by so much, those of two pictures with a fine pattern by 0.855; pictures
that only look alike by 0.49 at most (photos), consecutive frames of a film by 0.58, and one microscope's field taken
twice, with another focus, by 0.89."""

SAME_SMALL: Final = 0.985
"""The same for pictures of fewer than `SMALL` pixels a side, where handwritten digits of two people reach 0.966."""

SMALL: Final = 64

NEAR: Final = 0.4
"""The agreement from which on two pictures are similar, such as frames of one film."""

UNLIKE: Final = 0.12
"""Below this agreement no other place is tried: nine in ten pairs that only look alike have less."""

STARTS: Final = 5
"""Places from which alignment is tried."""

_FINE, _COARSE = 0.7, 3.0  # pixels: what is compared are details between these two sizes
_MARGIN = 4  # pixels at the border of the overlap that the filter has mixed with what is outside
_OVERLAP = 0.3  # of the picture: below, agreement says nothing
_TOLERANCE = 0.015  # of a side: how exactly positions are found
_HALF = DETAIL // 2
_UP = np.asarray([[1, 1, 2], [1, 1, 2]], dtype=np.float32)  # from half to full size

Window = tuple[tuple[float, float], tuple[float, float]]

Affine = NDArray[np.float32]
"""2 x 3: where a pixel of one picture lies in the other."""


class Agreement(NamedTuple):
    """How well two pictures agree, at best."""

    score: float
    """Correlation of their details where they overlap, -1 to 1."""
    within: bool
    """Whether one of them lies within the other, as a copy does that was cut: two views do not."""


def agreement(one: NDArray[np.float32], two: NDArray[np.float32]) -> Agreement:
    """Lay one of two grey pictures (DETAIL x DETAIL) onto the other and return how well they agree.

    Begins with the window of one that is most like the whole other. Where that comes to nothing clear, the next best
    windows are tried: repeated patterns have several places to settle in.
    """
    seen = views(np.stack([_reduced(grey, SIDE) for grey in (one, two)]))
    likeness = np.concatenate([seen[:, 1] @ seen[0, 0], seen[:, 0] @ seen[0, 1]])
    best = Agreement(-1, False)
    for start in np.argsort(-likeness, kind="stable")[:STARTS].tolist():
        pair = (one, two) if start < len(WINDOWS) else (two, one)
        best = max(best, _refined(*pair, WINDOWS[start % len(WINDOWS)]))
        if best.score < UNLIKE or best.score >= SAME:
            break
    return best


def _refined(one: NDArray[np.float32], two: NDArray[np.float32], window: Window) -> Agreement:
    """Return how well `one` agrees with a window of `two` at best, when that is moved and scaled.

    By ECC (Evangelidis, Psarakis: "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization",
    2008): moved at half size, then scaled too, then at full size. The best of all steps counts, as the last may lose
    its way where there is little to see.
    """
    (top, bottom), (left, right) = window
    half = [_reduced(grey, _HALF) for grey in (one, two)]
    begun = np.asarray([[right - left, 0, left * _HALF], [0, bottom - top, top * _HALF]], dtype=np.float32)
    best = _judge(one, two, begun * _UP)
    shifted = _shift(half[0], half[1], begun)
    best = max(best, _judge(one, two, shifted * _UP))
    if best.score >= SAME_SMALL and best.within:
        return best
    scaled = _scale(half[0], half[1], shifted, 20, 1e-4, 3)
    best = max(best, _judge(one, two, scaled * _UP))
    last = _scale(one, two, (scaled if _plausible(scaled) else shifted) * _UP, 30, 1e-5, 5)
    return max(best, _judge(one, two, last))


def _judge(one: NDArray[np.float32], two: NDArray[np.float32], where: Affine) -> Agreement:
    """Return how well `one` agrees with what lies at `where` in `two`."""
    if not _plausible(where):
        return Agreement(-1, False)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    details = _details(one)
    moved = cv2.warpAffine(_details(two), where, (DETAIL, DETAIL), flags=flags)
    covered = cv2.warpAffine(np.ones_like(two), where, (DETAIL, DETAIL), flags=flags) > 0.99
    edge = np.ones((2 * _MARGIN - 1, 2 * _MARGIN - 1), dtype=np.uint8)
    inner = cv2.erode(covered.view(np.uint8), edge, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
    if inner.mean() < _OVERLAP:
        return Agreement(-1, False)
    a, b = details[inner] - details[inner].mean(), moved[inner] - moved[inner].mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return Agreement(float(a @ b) / length if length > 1e-6 else -1, _within(where))


def _details(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _FINE) - cv2.GaussianBlur(grey, (0, 0), _COARSE))


def _reduced(grey: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _plausible(where: Affine) -> bool:
    """Return whether a picture is at most cut and resized, not turned or sheared."""
    scales, slopes = (where[0, 0], where[1, 1]), (where[0, 1], where[1, 0])
    return all(0.8 <= scale <= 1.25 for scale in scales) and all(abs(slope) < 0.03 for slope in slopes)


def _within(where: Affine) -> bool:
    corners = np.asarray([(x, y, 1) for x in (0, DETAIL) for y in (0, DETAIL)])
    for matrix in (where, cv2.invertAffineTransform(where)):
        places = corners @ np.asarray(matrix).T / DETAIL
        if places.min() > -_TOLERANCE and places.max() < 1 + _TOLERANCE:
            return True
    return False


def _shift(one: NDArray[np.float32], two: NDArray[np.float32], where: Affine) -> Affine:
    """Return `where` moved so that the pictures agree best, its scale as it is."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(
        cv2.warpAffine(two, where, one.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32
    )
    step = _ecc(one, moved, np.eye(2, 3, dtype=np.float32), cv2.MOTION_TRANSLATION, 20, 1e-4, 3)
    if step is None:
        return where
    shifted: Any = where.copy()
    shifted[:, 2] += where[:, :2] @ step[:, 2]
    return np.asarray(shifted, dtype=np.float32)


def _scale(
    one: NDArray[np.float32], two: NDArray[np.float32], where: Affine, steps: int, change: float, blur: int
) -> Affine:
    found = _ecc(one, two, where.astype(np.float32), cv2.MOTION_AFFINE, steps, change, blur)
    return where if found is None else found


def _ecc(
    one: NDArray[np.float32], two: NDArray[np.float32], where: Affine, motion: int, steps: int, change: float, blur: int
) -> Affine | None:
    """Return the motion that ECC ends with, or None where it finds nothing to hold on to."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, change)
    try:
        return np.asarray(cv2.findTransformECC(one, two, where.copy(), motion, criteria, None, blur)[1])  # type: ignore[call-overload]
    except cv2.error:  # the only way in which it says that the pictures have nothing in common
        return None
