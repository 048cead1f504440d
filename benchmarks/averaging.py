"""Train each task on the digits with averaged weights and without: how much the average gives or takes."""

from __future__ import annotations

from benchmarks.seeds import TASKS
from benchmarks.session import Session
from benchmarks.table import listed, markdown, write

DECAY = 0.999
EPOCHS = 8
"""About two minutes on two cores; not a budget, as both trainings have to take the same steps."""
ALLOWED = 0.01
"""How much of the metric the average may lose to the raw weights."""


def run(session: Session) -> list[str]:
    """Train the runs, write `averaging.md` and return what is not as it should be."""
    rows: list[list[object]] = []
    complaints = []
    for task in TASKS:
        given = (f"task={task}", "seed=0")
        raw = session.train(task, *given, epochs=EPOCHS)
        averaged = session.train(f"{task}_averaged", *given, f"ema.decay={DECAY}", epochs=EPOCHS)
        for split in ("val", "test"):
            figures = [one.figure(split) for one in (raw, averaged)]
            name = raw.result["monitor"].replace("val/", f"{split}/")
            difference = f"{figures[1] - figures[0]:+.4f}"
            rows.append([task, name, *figures, difference, raw.trivial(split), averaged.result["steps"]])
        if averaged.figure("val") < raw.figure("val") - ALLOWED:
            complaints.append(f"{task}: ema.decay={DECAY} scores {rows[-2][4]} on val, more than {ALLOWED} less")
    columns = ["run", "metric", "raw", f"ema.decay={DECAY}", "difference", "trivial", "steps"]
    table = markdown(columns, rows)
    path = write("averaging", "The digits with averaged weights", session, table, "Commands:", listed(session.commands))
    print(f"written to {path}")
    return complaints
