"""Write the curves of a run to metrics.csv, and go on with those of a resumed one."""

from __future__ import annotations

import csv
from pathlib import Path

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import loggers
from lightning.pytorch.loggers.csv_logs import ExperimentWriter


class CSVLogger(loggers.CSVLogger):
    """Lightning's logger, which would delete the file of a folder that is used again."""

    def __init__(self, *, save_dir: str | Path) -> None:
        super().__init__(save_dir, name="", version="")
        self._writer: _Writer | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> _Writer:
        """Return what writes the file."""
        if self._writer is None:
            self._experiment = self._writer = _Writer(self.log_dir)
        return self._writer

    def cut(self, step: int) -> None:
        """Drop what was written of a step, counted from 0, and all later ones."""
        self.experiment.cut(step)


class _Writer(ExperimentWriter):
    """Writes behind the rows that are there."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self._path = Path(self.metrics_file_path)
        if self._path.is_file():
            with self._path.open(encoding="utf-8", newline="") as file:
                self.metrics_keys = list(csv.DictReader(file).fieldnames or ())

    def _check_log_dir_exists(self) -> None:
        """Let the file be, which Lightning deletes here."""

    def cut(self, step: int) -> None:
        if not self._path.is_file():
            return
        with self._path.open(encoding="utf-8", newline="") as file:
            # The last line may have been cut off with the process that wrote it.
            rows = [row for row in csv.DictReader(file) if (row["step"] or "").isdigit() and int(row["step"]) < step]
        aside = self._path.with_suffix(".part")
        with aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        aside.replace(self._path)
