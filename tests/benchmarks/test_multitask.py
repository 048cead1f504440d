"""The comparison of several heads with single tasks counts what it says, and its settings train."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import multitask, table
from benchmarks.multitask import HEADS, judge, parser, ratios, settings, tell
from benchmarks.session import Run, Session
from tests.trainings import composed
from visionkit.engine.preflight import check

MONITORS = {"classification": "accuracy", "segmentation": "mIoU_foreground", "detection": "mAP_50"}


def run(seconds: float, **figures: float) -> Run:
    """Return a finished run of several heads, or of the only one."""
    names = {head: MONITORS[head] if len(figures) == 1 else f"{head}/{MONITORS[head]}" for head in figures}
    result = {
        "monitor": f"val/{next(iter(names.values())) if len(figures) == 1 else 'combined'}",
        "metrics": {f"test/{names[head]}": value for head, value in figures.items()},
        "trivial": {f"test/{name}": 0.1 for name in names.values()},
        "seconds": {"training": seconds},
        "steps": 7,
    }
    return Run(Path(), result)


def runs(together: float, third: float, seconds: float = 60) -> dict[str, list[Run]]:
    single = {head: [run(30, **{head: 0.8}), run(40, **{head: 0.9})] for head in HEADS}
    several = [run(seconds, **dict.fromkeys(HEADS, value)) for value in (together - 0.1, together + 0.1)]
    return {**single, "multitask": several, "third": [run(9, **dict.fromkeys(HEADS, third))] * 2}


def test_each_goal_is_judged() -> None:
    assert judge(runs(0.84, 0.3)) == []
    assert ratios(runs(0.84, 0.3)) == [60 / 90, 60 / 120]
    assert [text.split(":")[0] for text in judge(runs(0.82, 0.3))] == list(HEADS)
    assert [text.split(":")[0] for text in judge(runs(0.84, 0.19))] == [
        f"{head}, a third of the labels" for head in HEADS
    ]
    assert judge(runs(0.84, 0.3, seconds=72)) == ["the three together take 0.70 x the time of the three by themselves"]


def test_the_table_has_a_row_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    path = tell(Session(tmp_path, None), runs(0.84, 0.3), parser().parse_args(["--seeds", "4", "5"]))
    text = path.read_text(encoding="utf-8")
    assert path.name == "multitask.md"
    assert "| classification | accuracy | 0.8500 +- 0.0707 | 0.8400 +- 0.1414 | -0.0100 +- 0.0707 | 0.3000" in text
    assert "| together / sum of the three | 0.67 | 0.50 | 0.58 (median) |" in text


@pytest.mark.parametrize("task", ["multitask", "segmentation"])
def test_the_settings_fit(task: str) -> None:
    third = [multitask.THIRD] if task == "multitask" else []
    check(composed(f"task={task}", *settings(parser().parse_args([])), *third, "epochs=4", small=False))


@pytest.mark.full
def test_a_tiny_one_trains_all(tmp_path: Path) -> None:
    given = parser().parse_args(
        ["--epochs", "1", "--scenes", "40", "--size", "32", "--batch-size", "8", "--backbone", "resnet_tiny"]
    )
    done = multitask.train(Session(tmp_path, None), settings(given), 1, [0])
    assert {one.result["steps"] for of_name in done.values() for one in of_name} == {5}
    assert len(ratios(done)) == 1
    assert all(multitask.figures(done["third"], head, monitor) for head, monitor in multitask.monitors(done).items())
