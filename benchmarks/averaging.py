"""Train the default run of each task with averaged weights and without: how much the average gives or takes."""

from __future__ import annotations

from benchmarks.seeds import TASKS, default_run
from benchmarks.session import Session
from benchmarks.table import markdown, write

DECAY = 0.999
ALLOWED = 0.01
"""How much of the metric the average may lose to the raw weights."""


def run(session: Session) -> list[str]:
    """Train the runs, write `averaging.md` and return what is not as it should be."""
    rows: list[list[object]] = []
    complaints = []
    for task in TASKS:
        raw = default_run(session, task)
        averaged = session.train(f"{task}_averaged", f"task={task}", "seed=0", f"ema.decay={DECAY}")
        monitor = raw.result["monitor"].removeprefix("val/")
        for split in ("val", "test"):
            figures = [one.figure(split) for one in (raw, averaged)]
            difference = f"{figures[1] - figures[0]:+.4f}"
            steps = [one.result["steps"] for one in (raw, averaged)]
            rows.append([task, f"{split}/{monitor}", *figures, difference, raw.trivial(split), *steps])
        if averaged.figure("val") < raw.figure("val") - ALLOWED:
            complaints.append(f"{task}: ema.decay={DECAY} scores {rows[-2][4]} on val, more than {ALLOWED} less")
    columns = ["run", "metric", "raw", f"ema.decay={DECAY}", "difference", "trivial", "steps raw", "steps averaged"]
    commands = "\n".join(f"    {command}" for command in session.commands)
    path = write("averaging", "The default runs with averaged weights", session, markdown(columns, rows), commands)
    print(f"written to {path}")
    return complaints
