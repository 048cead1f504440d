"""Measure the doctor: time and memory over many pictures, and how far copies are from look-alikes.

python -m benchmarks.doctor [--images 20000] [--data FOLDER], the folder holding real data sets.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import cores, cpu_model
from benchmarks.session import ROOT
from benchmarks.table import RESULTS, markdown
from visionkit.config.frozen import commit
from visionkit.data.formats.listing import IMAGE_SUFFIXES
from visionkit.engine.doctor import looking, similar
from visionkit.engine.doctor.looking import DETAIL, SIDE
from visionkit.engine.doctor.sameness import NEAR, SAME, agreement
from visionkit.types import Image

SIDES = (96, 128)
"""Height and width of the synthetic pictures."""

MOST_GROWTH = 4096
"""Bytes a picture by which memory may grow, for the names and the few numbers that are kept of each."""

FOUND = 0.995
"""The share of copies that is found at least."""

_SETS = {
    "clothing10": "*/*/*.jpg",
    "bccd": "JPEGImages/*.jpg",
    "camvid": "images/*/*.png",
    "nuclei": "*/*/images/*.png",
    "coco_mini": "*/*.jpg",
}
"""Where the pictures of each real data set are."""


def main() -> None:
    """Measure, print and write `results/doctor.md`; end with 1 when memory grows or copies are not told apart."""
    given = parser().parse_args()
    parts = [f"# The doctor\n\nMade by `python -m benchmarks.doctor --images {given.images}`.", _machine()]
    table, grows = scale(given.images)
    parts += ["## Time and memory", _SCALE, table]
    missed = ["memory"] if grows > MOST_GROWTH else []
    if given.data:
        table, apart = separation(given.data)
        parts += ["## Copies and look-alikes", _SEPARATION, table]
        missed += [] if apart else ["copies"]
    text = "\n\n".join(parts)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "doctor.md").write_text(text + "\n", encoding="utf-8")
    if missed:
        sys.exit(f"NOT AS IT SHOULD BE: {', '.join(missed)}")


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.doctor", description=__doc__)
    made.add_argument(
        "--images", type=int, default=20_000, help="synthetic pictures; a quarter of them is measured too"
    )
    made.add_argument("--data", type=Path, help="folder of real data sets, to measure copies of their pictures")
    made.add_argument("--examine", type=Path, help=argparse.SUPPRESS)
    return made


_SCALE = (
    f"Folders of JPEG files of {SIDES[0]} x {SIDES[1]} pixels, a picture of its own each, examined by all cores. Peak "
    "memory is that of the largest process, the imports (torch among them) included; the last row is what a picture "
    "more costs."
)

_SEPARATION = (
    "Agreement of copies (JPEG at 50, 75 and 90, half the size, square, brighter, 3, 5 and 10 % cut off anywhere) with "
    f"their originals, and of each picture with the most similar other ones. From {SAME} on, where one lies within the "
    f"other, pictures are the same; from {NEAR} on they are similar."
)


def scale(num: int) -> tuple[str, float]:
    """Return the table for a quarter of the pictures and for all, and by how many bytes a picture memory grows."""
    rows: list[list[object]] = []
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (num // 4, num):
            root = Path(folder, str(count))
            write_pictures(root, count)
            command = [sys.executable, "-m", "benchmarks.doctor", "--examine", str(root)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            peaks.append(found["peak"])
            opened, whole = found["seconds"]["pictures"], found["seconds"]["all"]
            rows.append([count, f"{1000 * opened / count:.2f}", f"{1000 * (whole - opened) / count:.2f}",
                         f"{found['peak'] / 2**20:.0f}", found["codes"].get("leak", 0)])  # fmt: skip
    growth = (peaks[1] - peaks[0]) / (num - num // 4)
    rows.append(["one more", "", "", f"{growth:.0f} bytes", ""])
    headings = ["pictures", "opening a thousand, s", "finding copies a thousand, s", "peak memory, MiB", "leaks"]
    return markdown(headings, rows), growth


def write_pictures(root: Path, count: int) -> None:
    """Write class folders of synthetic pictures, and one of the first pictures of train into val."""
    for number in range(count):
        split = "val" if number % 10 >= 8 else "train"
        folder = root / split / "ab"[number % 2]
        if number < 20:
            folder.mkdir(parents=True, exist_ok=True)
        encoded = cv2.imencode(".jpg", picture(number), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        (folder / f"{number:06}.jpg").write_bytes(encoded.tobytes())
    (root / "val/a/copy.jpg").write_bytes((root / "train/a/000000.jpg").read_bytes())


def picture(number: int) -> Image:
    """Return a synthetic picture that is unlike those of other numbers."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (5, 7, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, SIDES[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def examine(root: Path) -> None:
    """Examine a folder and print what it took as JSON: in a process of its own, whose peak memory counts."""
    from visionkit.data.formats.image_folder import ImageFolder
    from visionkit.data.selection.selection import Selection
    from visionkit.engine.doctor import examining

    reader = ImageFolder(str(root))
    found = examining.examine(dict(Selection(reader)), reader.report).as_json()
    peaks = [resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"seconds": found["seconds"], "codes": found["codes"], "peak": max(peaks)}))


def separation(folder: Path) -> tuple[str, bool]:
    """Return the table of agreements, and whether copies are told from other pictures that lie within."""
    rows: list[list[object]] = []
    apart = True
    for name, pattern in _SETS.items():
        paths = [path for path in sorted((folder / name).glob(pattern)) if path.suffix.lower() in IMAGE_SUFFIXES]
        images = [image for path in paths if (image := cv2.imread(str(path))) is not None]
        own = [agreement(_detail(image), _detail(copy)) for image in images for copy in copies(image)]
        details = [looking.look_at(path).grey for path in paths]
        small = np.stack([_grey(grey, SIDE) for grey in details])
        fine = [_grey(grey, DETAIL).astype(np.float32) for grey in details]
        pairs = similar.pairs(small, np.zeros(len(small), dtype=np.int64))
        other = [agreement(fine[one], fine[two]) for one, two in pairs]
        told = [one.score for one in other if one.within]
        scores = np.asarray([found.score for found in own])
        found = np.mean([one.score >= SAME and one.within for one in own])
        within, any_most = max(told, default=0), max((one.score for one in other), default=0)
        apart &= bool(found >= FOUND) and within < SAME
        rows.append([name, len(own), f"{100 * found:.2f}", f"{scores.min():.3f}", f"{np.median(scores):.3f}",
                     len(other), f"{within:.3f}", f"{any_most:.3f}"])  # fmt: skip
    headings = [
        "data set",
        "copies",
        "found, %",
        "least",
        "median",
        "pairs that look alike",
        "most, within",
        "most, any",
    ]
    return markdown(headings, rows), apart


def copies(image: Image) -> Iterator[Image]:
    """Yield a picture as people make copies of it."""
    rng = np.random.default_rng(int(image.sum()))
    height, width = image.shape[:2]
    encode: Callable[[Image, int], Image] = lambda changed, quality: np.asarray(  # noqa: E731
        cv2.imdecode(cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    )
    yield from (encode(image, quality) for quality in (50, 75, 90))
    yield cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    yield cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
    yield np.clip(image * 1.15 + 10, 0, 255).astype(np.uint8)
    for share in (0.03, 0.05, 0.10):
        tall, wide = int(height * (1 - share)), int(width * (1 - share))
        top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
        yield encode(np.ascontiguousarray(image[top : top + tall, left : left + wide]), 85)


def _detail(image: Image) -> NDArray[np.float32]:
    return _grey(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)), DETAIL).astype(np.float32)


def _grey(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _machine() -> str:
    return f"- commit: {commit()}\n- machine: {cpu_model()}, {cores()} cores"


if __name__ == "__main__":
    root = parser().parse_args().examine
    if root:
        examine(root)
    else:
        main()
