"""Keep the libraries' chatter out of a run, and write ours to the screen and to train.log."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

_EXPECTED = (
    ".*does not have many workers.*",  # the number is chosen by the data: none for images in memory
    ".*smaller than the logging interval.*",  # we log a value an epoch
    ".*Experiment logs directory.*",  # the run folder holds config.yaml before the logger starts
    ".*Checkpoint directory.*exists and is not empty.*",
    ".*max_epochs.*was not set.*",  # a budget has no number of epochs
    ".*GPU available but not used.*",
    ".*is a wildcard.*|.*srun. command is available.*",
    ".*sync_dist=True.*",  # metrics and losses are sums over ranks already
    ".*isinstance.treespec, LeafSpec.*",
    ".*FSDP2-wrapped module.*returned a view.*",  # nothing of ours changes outputs in place
)


def quieten() -> None:
    """Silence what libraries say that a person cannot use."""
    for message in _EXPECTED:
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # it logs what it raises as well


def start_log(run_dir: Path | None, *, screen: bool = True) -> logging.Logger:
    """Return visionkit's logger, writing to `run_dir/train.log` and, on rank 0, to the screen."""
    quieten()
    log = logging.getLogger("visionkit")
    log.setLevel(logging.INFO)
    log.propagate = False
    lightning = logging.getLogger("lightning.pytorch")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        lightning.removeHandler(handler)  # it has the same file
        handler.close()
    if run_dir is not None:
        file = logging.FileHandler(run_dir / "train.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(file)
        lightning.addHandler(file)
    if screen:
        shown = logging.StreamHandler(sys.stdout)
        shown.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(shown)
    return log
