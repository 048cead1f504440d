"""The curves of a resumed run stand behind those that it wrote before."""

from __future__ import annotations

from pathlib import Path

from visionkit.engine.csv_logger import CSVLogger


def write(folder: Path, *rows: tuple[int, dict[str, float]], cut: int = 0) -> str:
    logger = CSVLogger(save_dir=folder)
    logger.cut(cut)
    for step, row in rows:
        logger.log_metrics(row, step)
        logger.save()
    return (folder / "metrics.csv").read_text()


def test_rows_of_the_step_and_later_ones_are_dropped_and_new_columns_fit_in(tmp_path: Path) -> None:
    write(tmp_path, (0, {"b": 1.5}), (9, {"b": 2.5}), (10, {"c": 3.5}), (11, {"b": 4.5}))
    text = write(tmp_path, (10, {"c": 5.5}), (11, {"a": 6.5}), cut=10)
    assert text.splitlines() == ["a,b,c,step", ",1.5,,0", ",2.5,,9", ",,5.5,10", "6.5,,,11"]


def test_a_run_that_begins_anew_drops_all(tmp_path: Path) -> None:
    write(tmp_path, (0, {"b": 1.5}))
    assert write(tmp_path, (0, {"b": 2.5})).splitlines() == ["b,step", "2.5,0"]


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, (0, {"b": 1.5}))
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("2.5")
    assert write(tmp_path, (1, {"b": 3.5}), cut=5).splitlines() == ["b,step", "1.5,0", "3.5,1"]
