"""Measure a COCO file of a million boxes against pycocotools: python -m benchmarks.scale [--boxes 1000000]."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.coco_file import write_coco
from benchmarks.session import ROOT
from benchmarks.table import keep, markdown

if TYPE_CHECKING:  # imported in the process that is measured
    from multiprocessing.synchronize import Barrier

    from visionkit.data.records import Records

WORKERS = 4
REOPENED = 5
"""Processes that open the cache; the median counts."""
MIB = 2**20

GOAL_REOPEN = 0.1
"""Seconds."""
GOAL_BYTES = 32
"""Bytes a box: its corners, label, whether it is a crowd, and its share of where each image's begin."""
GOAL_WORKER = 5
"""MiB of its own that a worker holds more after it looked at every box."""


class Measured(NamedTuple):
    """One process: opening, and its workers after a pass over all boxes."""

    seconds: float
    opened: float  # MiB that the process grew by
    worker: float = 0.0  # MiB that are a worker's own, more than before its pass; the largest of all
    bytes_a_box: float = 0.0


def main() -> None:
    """Measure, print and write `results/scale.md`; end with 1 when a goal is missed."""
    arguments = parser().parse_args()
    if arguments.measure:
        print(json.dumps(MEASURED[arguments.measure](Path(arguments.folder))))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "data")
        size = write_coco(root, arguments.images, arguments.boxes)
        os.environ["VISIONKIT_CACHE"] = str(Path(folder, "cache"))
        peer = measure("pycocotools", root)
        first = measure("open", root)
        reopened = [measure("open", root) for _ in range(REOPENED)]
        forked, spawned = measure("forked", root), measure("spawned", root)
    again = median(one.seconds for one in reopened)
    held = max(one.opened for one in reopened)
    columns = ["what", "seconds to open", "MiB more", f"MiB more in each of {WORKERS} workers", "bytes a box"]
    rows: list[list[object]] = [
        ["pycocotools", f"{peer.seconds:.1f}", f"{peer.opened:.0f}", f"{peer.worker:.1f}", ""],
        ["first time", f"{first.seconds:.1f}", f"{first.opened:.0f}", "", f"{first.bytes_a_box:.1f}"],
        ["again, workers forked", f"{again:.3f}", f"{held:.0f}", f"{forked.worker:.1f}", f"{forked.bytes_a_box:.1f}"],
        ["again, workers spawned", f"{again:.3f}", f"{held:.0f}", f"{spawned.worker:.1f}", ""],
        ["goal", f"pycocotools; again {GOAL_REOPEN}", "", f"below {GOAL_WORKER}", f"at most {GOAL_BYTES}"],
    ]
    goals = {
        "first opening": first.seconds <= peer.seconds,
        "opening again": again <= GOAL_REOPEN,
        "bytes a box": forked.bytes_a_box <= GOAL_BYTES,
        "forked workers": forked.worker < GOAL_WORKER,
        "spawned workers": spawned.worker < GOAL_WORKER,
    }
    table = markdown(columns, rows)
    print(table)
    about = (
        f"{arguments.boxes:,} boxes with a polygon each on {arguments.images:,} images, a file of {size / MIB:.0f} MiB "
        f"that is in the page cache; each line is a process of its own, opening again the median of {REOPENED}. "
        f"Imports are not counted. A worker's memory is what smaps_rollup calls private, taken while all workers live; "
        f"what a spawned one is sent counts. "
        f"Made by `python -m benchmarks.scale --boxes {arguments.boxes} --images {arguments.images}`."
    )
    keep("scale", "Scale", about, table)
    if missed := [name for name, reached in goals.items() if not reached]:
        sys.exit(f"NOT AS IT SHOULD BE: {', '.join(missed)}")


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    made.add_argument("--boxes", type=int, default=1_000_000, help="objects in the file")
    made.add_argument("--images", type=int, default=120_000, help="images that they lie on")
    made.add_argument("--measure", choices=list(MEASURED), help=argparse.SUPPRESS)
    made.add_argument("--folder", help=argparse.SUPPRESS)
    return made


def measure(name: str, root: Path) -> Measured:
    """Return what a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.scale", "--measure", name, "--folder", str(root)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = Measured(*json.loads(done.stdout.splitlines()[-1]))
    print(f"  {name}: {found}", flush=True)
    return found


def pycocotools(root: Path) -> Measured:
    """Open the file with pycocotools, whose lists and numbers forked workers copy by counting references."""
    from pycocotools.coco import COCO

    before, began = resident(), time.perf_counter()
    coco = COCO(root / "annotations" / "instances_train.json")
    seconds = time.perf_counter() - began

    def all_boxes() -> float:
        return sum(sum(item["bbox"]) for image in coco.imgs for item in coco.imgToAnns[image])

    return Measured(seconds, resident() - before, in_workers("fork", all_boxes))


def opened(root: Path) -> tuple[Measured, Records]:
    """Open the file with visionkit."""
    from visionkit.data.formats.coco.reader import COCO

    before, began = resident(), time.perf_counter()
    records = COCO(str(root)).read("train")
    seconds = time.perf_counter() - began
    arrays = (records.boxes, records.box_label, records.box_ignore, records.box_start)
    held = sum(array.nbytes for array in arrays if array is not None)
    boxes = 0 if records.boxes is None else len(records.boxes)
    return Measured(seconds, resident() - before, bytes_a_box=held / max(boxes, 1)), records


class AllBoxes:
    """Looks at every box of some records as a loader does, image after image."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def __call__(self) -> float:
        """Return the sum of all that was looked at."""
        total = 0.0
        records = self.records
        assert records.boxes is not None
        assert records.box_label is not None
        assert records.box_ignore is not None
        assert records.box_start is not None
        for index in range(len(records)):
            rows = slice(int(records.box_start[index]), int(records.box_start[index + 1]))
            total += float(records.boxes[rows].sum()) + int(records.box_label[rows].sum())
            total += int(records.box_ignore[rows].sum()) + len(records.names[index])
        return total


def loaded(root: Path, method: str) -> Measured:
    """Open the file and look at every box in several workers at once."""
    measured, records = opened(root)
    return measured._replace(worker=in_workers(method, AllBoxes(records)))


def in_workers(method: str, work: Callable[[], object]) -> float:
    """Return by how many MiB the largest of `WORKERS` processes grew by `work`, which all do at the same time.

    What a spawned process is sent counts as well.
    """
    context: Any = multiprocessing.get_context(method)
    sent = len(ForkingPickler.dumps(work)) / MIB if method == "spawn" else 0
    together, grown = context.Barrier(WORKERS), context.Queue()
    workers = [context.Process(target=_worker, args=(work, together, grown)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    found = [float(grown.get()) for _ in workers]
    for worker in workers:
        worker.join()
    return max(found) + sent


def _worker(work: Callable[[], object], together: Barrier, grown: Any) -> None:
    before = private()
    work()
    together.wait()  # a page is shared only while another process holds it too
    after = private()
    together.wait()
    grown.put(after - before)


def resident() -> float:
    """Return the MiB of memory that this process holds."""
    return _kib(Path("/proc/self/status"), ("VmRSS",)) / 1024


def private() -> float:
    """Return the MiB of memory that this process holds and shares with none."""
    return _kib(Path("/proc/self/smaps_rollup"), ("Private_Clean", "Private_Dirty")) / 1024


def _kib(file: Path, names: tuple[str, ...]) -> int:
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    return sum(int(line[1]) for line in lines if line[0].removesuffix(":") in names)


MEASURED: dict[str, Callable[[Path], Measured]] = {
    "pycocotools": pycocotools,
    "open": lambda root: opened(root)[0],
    "forked": lambda root: loaded(root, "fork"),
    "spawned": lambda root: loaded(root, "spawn"),
}


if __name__ == "__main__":
    main()
