"""Small data sets for the doctor's tests, and what it says of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from visionkit.data.reader import Reader
from visionkit.data.selection.selection import Selection
from visionkit.engine.doctor.codes import Finding
from visionkit.engine.doctor.examining import Diagnosis, examine
from visionkit.types import Image


def scene(seed: int, height: int = 150, width: int = 200) -> Image:
    """A picture with shapes of its own, as unlike other seeds' as photographs are."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(25):
        corner, size = rng.integers(0, (width, height)), rng.integers(8, 60, 2)
        colour = tuple(int(value) for value in rng.integers(0, 255, 3))
        cv2.rectangle(image, corner.tolist(), (corner + size).tolist(), colour, int(rng.integers(-1, 4)) or 1)
    return np.asarray(image, dtype=np.uint8)


def save(path: Path, image: Image, quality: int = 92) -> Path:
    """Write an RGB picture or a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = image[..., ::-1] if image.ndim == 3 else image
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    path.write_bytes(cv2.imencode(path.suffix, stored, settings)[1].tobytes())
    return path


def opened(path: Path) -> Image:
    """Read an RGB picture."""
    return np.asarray(cv2.imread(str(path))[..., ::-1])


def cut(image: Image, share: float = 0.07) -> Image:
    """A copy with a share of its height and width cut off, more on one side than on the other."""
    height, width = image.shape[:2]
    top, left = int(height * share * 0.3), int(width * share * 0.8)
    return np.ascontiguousarray(image[top : top + int(height * (1 - share)), left : left + int(width * (1 - share))])


def some(source: Path, target: Path, pattern: str, every: int = 1, most: int = 40) -> list[Path]:
    """Copy a few files of a data set, with their folders; return the copies."""
    copies = []
    for path in sorted(source.glob(pattern))[::every][:most]:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        copies.append(copy)
    return copies


def diagnose(reader: Reader, near: bool = True) -> Diagnosis:
    """Examine a data set in this process."""
    reader.report.lenient = True
    return examine(dict(Selection(reader)), reader.report, near=near, processes=1)


def of(diagnosis: Diagnosis, code: str) -> list[Finding]:
    """The findings of a code."""
    return [finding for finding in diagnosis.findings if finding.code == code]


def files(diagnosis: Diagnosis, code: str) -> set[str]:
    """The files that a code was found in."""
    return {file for finding in of(diagnosis, code) for file in finding.files}
