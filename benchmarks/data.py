"""Measure how many images a second become normalised training batches: python -m benchmarks.data [--runs 5]."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
import torch
from PIL import Image

from benchmarks.peers import JITTER, MEAN, PEERS, RATIO, SCALE, SIZE, STD, loader
from benchmarks.photos import QUALITY, Photos, write_photos
from benchmarks.table import keep, markdown
from visionkit.data.augmentation.augment import Augment
from visionkit.data.dataset import Samples
from visionkit.data.geometry import Fit
from visionkit.data.loader import ResumableLoader
from visionkit.data.pictures.cache import RAM, Cache
from visionkit.data.pictures.copies import Copies, for_crops
from visionkit.data.pictures.files import ImageFiles, MaskFiles
from visionkit.data.records import Records
from visionkit.data.sampler import TrainBatches
from visionkit.data.strings import Strings
from visionkit.losses.cross_entropy import CrossEntropy
from visionkit.models.backbones.convnet import ConvNet
from visionkit.models.heads.linear import LinearHead
from visionkit.models.network import Network
from visionkit.types import Classes

BATCH = 32
LONGER = 4
"""Times as many images in a run from the cache: at its speed, starting an epoch would be most of a shorter one."""

OURS, CACHED = "visionkit", "visionkit, cache=ram"
KINDS = {"classes": "labels", "boxes": "boxes", "masks": "mask"}


class Photographs(NamedTuple):
    """Files of one size, how often they are gone through in a run, and what is to be reached."""

    size: tuple[int, int]  # height, width
    files: int
    images: int  # a run
    enlarged: float = 1.0  # how many pixels the finest detail has
    goals: tuple[float, float, float] | None = None  # over torchvision v1, the best peer, with a cache decoding alone


SETS = {
    "400 x 533": Photographs((533, 400), 128, 2048, goals=(2.3, 1.3, 2.5)),
    "2000 x 1500": Photographs((1500, 2000), 32, 512, enlarged=3.75, goals=(2.8, 1.6, 10.0)),
    "2000 x 1500, detail in every pixel": Photographs((1500, 2000), 32, 256),
}

Speeds = dict[str, list[float]]
"""Images a second of each run, by what was measured."""


def main() -> None:
    """Measure, print and write `results/data.md`; end with 1 when a goal is missed."""
    given = parser().parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    parts, missed = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, photographs in SETS.items():
            photos = write_photos(
                Path(folder, name), photographs.size, photographs.files, given.photos, photographs.enlarged
            )
            alone = decoding(photos, given.runs)
            parts += [f"## {name}", table(alone, "decoding alone, one process")]
            for labels, jitter, workers in settings(given.quick or photographs.goals is None):
                speeds = measured(photos, photographs.images, labels, jitter, workers, given.runs)
                title = f"{labels}, {'with' if jitter else 'without'} colour jitter, {workers or 'no'} workers"
                parts.append(table(speeds, title))
                print(f"{name}: {title}\n{parts[-1]}\n", flush=True)
                if (labels, jitter, workers) == ("classes", False, 2):
                    lines, wrong = judge(name, photographs.goals, speeds, alone)
                    parts.append("\n".join(f"- {line}" for line in lines))
                    missed += wrong
                    print(parts[-1], flush=True)
    keep("data", "From JPEG files to training batches", about(given), *parts)
    if missed:
        sys.exit(f"NOT AS IT SHOULD BE: {'; '.join(missed)}")


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    data = os.environ.get("VISIONKIT_TEST_DATA")
    default = Path(data, "clothing10") if data and Path(data, "clothing10").is_dir() else None
    made.add_argument("--runs", type=int, default=5, help="repetitions, in turn; the median counts")
    made.add_argument("--photos", type=Path, default=default, help="folder of JPEG files to compose the images of")
    made.add_argument("--quick", action="store_true", help="only what the goals are about")
    return made


def settings(quick: bool) -> list[tuple[str, bool, int]]:
    """Return labels, colour jitter and workers of what is measured."""
    if quick:
        return [("classes", False, 2)]
    kinds = [("classes", False), ("classes", True), ("boxes", False), ("masks", False)]
    return [(labels, jitter, workers) for labels, jitter in kinds for workers in (0, 2)]


def about(given: argparse.Namespace) -> str:
    """Return what was measured, in words."""
    source = "photographs" if given.photos else "made-up textures with detail on all scales"
    return (
        f"Images a second, medians of {given.runs} runs in turn, made by `python -m benchmarks.data`. JPEG of quality "
        f"{QUALITY}: {source}, those of 2000 x 1500 enlarged 3.75 times but for the last set; random windows (area "
        f"{SCALE[0]} to {SCALE[1]:g}, aspect {RATIO[0]:.2f} to {RATIO[1]:.2f}) at {SIZE} x {SIZE} by bilinear "
        f"interpolation, flips, with jitter of {JITTER} in brightness, contrast and saturation where it says so, "
        f"batches of {BATCH}, normalised float32. Normalisation is counted everywhere: here it runs in the main "
        "process, as in a training. Pillow (torchvision v1, timm) and torchvision v2 average over what a pixel covers "
        "(antialiasing); OpenCV does not, and visionkit halves as long as that leaves enough pixels, in the decoder, "
        "and interpolates the rest, which is less than a half. With the cache, windows are cut out of copies whose "
        "shorter side has 256 pixels. One thread a process."
    )


def decoding(photos: Photos, runs: int) -> Speeds:
    """Measure decoders on files already in memory."""
    encoded = [path.read_bytes() for path in photos.images]
    decoders: dict[str, Callable[[bytes], Any]] = {
        "Pillow": lambda data: np.asarray(Image.open(_file(data)).convert("RGB")),
        "OpenCV": lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR),
        "simplejpeg": simplejpeg.decode_jpeg,
    }

    def run(decode: Callable[[bytes], Any]) -> int:
        for data in encoded:
            decode(data)
        return len(encoded)

    return in_turn({name: partial(run, decode) for name, decode in decoders.items()}, runs)


def measured(photos: Photos, images: int, labels: str, jitter: bool, workers: int, runs: int) -> Speeds:
    """Measure all sides in turn, each with its workers running, after one run that does not count."""
    normalize = network().normalize
    loaders: dict[str, Iterable[Any]] = {}
    repeated = images // len(photos.images)
    with ExitStack() as stack:
        for name in (OURS, CACHED):
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=RAM)) if name == CACHED else None
            more = LONGER if name == CACHED else 1
            loaders[name] = own_loader(photos, repeated * more, labels, jitter, workers, folder)
        for name, make in PEERS.items():
            several = Photos(photos.images * repeated, photos.masks * repeated, np.tile(photos.boxes, (repeated, 1, 1)))
            if (read := make(several, labels, jitter)) is not None:
                loaders[name] = loader(images, read, BATCH, workers)

        def run(name: str) -> int:
            return sum(len(batch) for batch in batches(loaders[name], normalize if name in (OURS, CACHED) else None))

        return in_turn({name: partial(run, name) for name in loaders}, runs)


def batches(loaded: Iterable[Any], normalize: Callable[[torch.Tensor], torch.Tensor] | None) -> Iterator[torch.Tensor]:
    """Yield the normalised images of a loader's batches."""
    for batch in loaded:
        if normalize is not None:
            yield normalize(batch.images)
        else:
            yield batch[0] if isinstance(batch, tuple) else batch


def own_loader(
    photos: Photos, repeated: int, labels: str, jitter: bool, workers: int, cache: str | None
) -> ResumableLoader:
    """Return visionkit's loader of training batches, with `cache` from copies in that folder."""
    factor = [1 - JITTER, 1 + JITTER]
    colours = [{"ColorJitter": {"brightness": factor, "contrast": factor, "saturation": factor, "hue": [0, 0], "p": 1}}]
    augment = Augment(pixel=colours if jitter else [], crop={"scale": list(SCALE), "ratio": list(RATIO)}, mirror=0.5)
    copies = None if cache is None else Copies(Cache(Path(cache)), for_crops((SIZE, SIZE)))
    data = records(photos, repeated)
    samples = Samples(data, Fit((SIZE, SIZE)), (KINDS[labels],), augment, 0, copies)
    return ResumableLoader(samples, TrainBatches(len(samples), BATCH, 0), workers)


def records(photos: Photos, repeated: int) -> Records:
    """Return the photographs, each of them several times."""
    number, boxes = len(photos.images) * repeated, photos.boxes.shape[1]
    return Records(
        images=ImageFiles("/", [str(path)[1:] for path in photos.images * repeated]),
        names=Strings(str(index) for index in range(number)),
        classes=Classes(("one",), tuple(str(value) for value in range(20)), ("one",)),
        labels=np.zeros(number, dtype=np.int64),
        masks=MaskFiles("/", [str(path)[1:] for path in photos.masks * repeated], 20),
        boxes=np.tile(photos.boxes.reshape(-1, 4), (repeated, 1)),
        box_label=np.zeros(number * boxes, dtype=np.int64),
        box_ignore=np.zeros(number * boxes, dtype=bool),
        box_start=np.arange(number + 1) * boxes,
    )


def network() -> Network:
    """Return a small network, for its normalisation."""
    backbone = ConvNet(
        [{"channels": 4, "kernel": 3, "stride": 2}], [{"block": "plain", "channels": 4, "depth": 1, "stride": 2}]
    )
    head = LinearHead(0.0, 0.0, CrossEntropy(), levels=backbone.levels, num_classes=1)
    return Network(backbone, {}, {"head": head}, {"head": None}, MEAN, STD)


def in_turn(sides: dict[str, Callable[[], int]], runs: int) -> Speeds:
    """Return the speeds of sides that say how many images they have done, run in turn: the machine's mood changes."""
    speeds: Speeds = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            done = run()
            if turn:
                speeds[name].append(done / (time.perf_counter() - began))
    return speeds


def table(speeds: Speeds, title: str) -> str:
    """Return the medians and the spread of each side."""
    rows = [[name, f"{median(all_):.0f}", f"{min(all_):.0f} to {max(all_):.0f}"] for name, all_ in speeds.items()]
    return markdown([title, "images a second", "spread"], rows)


def judge(
    name: str, goals: tuple[float, float, float] | None, speeds: Speeds, alone: Speeds
) -> tuple[list[str], list[str]]:
    """Return a line for each ratio, and those that miss their goal."""
    best = max(PEERS, key=lambda peer: median(speeds[peer]))
    decoder = max(alone, key=lambda one: median(alone[one]))
    found = {
        f"{OURS} over torchvision v1": ratio(speeds[OURS], speeds["torchvision v1"]),
        f"{OURS} over the best of the others, {best}": ratio(speeds[OURS], speeds[best]),
        f"{CACHED} over {decoder} alone": median(speeds[CACHED]) / median(alone[decoder]),
    }
    if goals is None:
        return [f"{what}: {value:.2f} x" for what, value in found.items()], []
    pairs = list(zip(found.items(), goals, strict=True))
    lines = [f"{what}: {value:.2f} x (goal: {goal:g} x)" for (what, value), goal in pairs]
    missed = [f"{name}: {line}" for line, ((_, value), goal) in zip(lines, pairs, strict=True) if value < goal]
    return lines, missed


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the runs' own ratios, which the machine's mood changes less than speeds."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def _file(data: bytes) -> Any:
    from io import BytesIO

    return BytesIO(data)


if __name__ == "__main__":
    main()
