"""Run the measurements and write their tables: python -m benchmarks.verify [--only controls] [--budget 30s]."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import averaging, controls, families, seeds, transfer
from benchmarks.session import Session, TrainingError
from visionkit.engine.checkpoint import load_model

PARTS = ("seeds", "averaging", "own_data", "transfer", "controls", "families")


def main() -> None:
    """Run what is asked for; end with 1 when something is not as it should be."""
    arguments = parser().parse_args()
    folder = arguments.folder or Path("runs", "benchmarks", time.strftime("%Y-%m-%d_%H-%M-%S"))
    print(f"runs are kept in {folder}; to go on after a stop, give --folder {folder} and the same arguments")
    began = time.perf_counter()
    complaints: list[str] = []
    for part in arguments.only:
        print(f"{part}:", flush=True)
        session = Session(folder, arguments.budget)
        try:
            if part == "seeds":
                complaints += seeds.run(session)
            elif part == "averaging":
                complaints += averaging.run(session)
            elif part == "own_data":
                complaints += seeds.run_own_data(session)
            elif part == "controls":
                complaints += controls.run(session, {_task(path): path for path in arguments.checkpoint})
            elif part == "transfer":
                complaints += transfer.run(session)
            else:
                complaints += families.run(session)
        except TrainingError as error:
            complaints.append(f"{part}: {error}")
    print(f"{time.perf_counter() - began:.0f} s")
    for complaint in complaints:
        print(f"NOT AS IT SHOULD BE: {complaint}")
    sys.exit(bool(complaints))


def _task(checkpoint: Path) -> str:
    return next(iter(load_model(checkpoint, controls.TRUSTED).tasks))


def parser() -> argparse.ArgumentParser:
    """Return the reader of the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verify", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to run; all by default")
    parser.add_argument("--budget", help="of each training, such as 5s; default: two minutes, or the part's own epochs")
    parser.add_argument("--folder", type=Path, help="of the runs; finished ones in it are not trained again")
    models = "trained models for the controls, in place of default runs"
    parser.add_argument("--checkpoint", type=Path, nargs="+", default=[], help=models)
    return parser


if __name__ == "__main__":
    main()
