"""The comparison of several heads with single tasks counts what it says, and its settings train."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import multitask, table
from benchmarks.multitask import HEADS, Runs, judge, judge_third, parser, ratios, settings, tell, tell_third
from benchmarks.session import Run, Session
from tests.trainings import composed
from visionkit.engine.preflight import check

MONITORS = {"classification": "accuracy", "segmentation": "mIoU_foreground", "detection": "mAP_50"}

TINY = (
    "--epochs", "1", "--scenes", "40", "--size", "32", "--batch-size", "8", "--backbone", "resnet_tiny", "--seeds", "0",
)  # fmt: skip


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


def runs(together: float, seconds: float = 60) -> Runs:
    single = {head: [run(30, **{head: 0.8}), run(40, **{head: 0.9})] for head in HEADS}
    several = [run(seconds, **dict.fromkeys(HEADS, value)) for value in (together - 0.1, together + 0.1)]
    return {**single, "multitask": several}


def third(least: float) -> list[Run]:
    return [run(9, **dict.fromkeys(HEADS, value)) for value in (least, 0.7)]


def test_each_goal_is_judged() -> None:
    assert judge(runs(0.84)) == []
    assert ratios(runs(0.84)) == [60 / 90, 60 / 120]
    assert [text.split(":")[0] for text in judge(runs(0.82))] == list(HEADS)
    assert judge(runs(0.84, seconds=72)) == ["the three together take 0.70 x the time of the three by themselves"]
    assert judge_third(third(0.21)) == []
    assert [text.split(":")[0] for text in judge_third(third(0.19))] == [
        f"{head}, a third of the labels" for head in HEADS
    ]


def test_the_tables_have_a_row_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    given = parser().parse_args(["--seeds", "4", "5"])
    path = tell(Session(tmp_path, None), runs(0.84), given)
    text = path.read_text(encoding="utf-8")
    assert path.name == "multitask.md"
    assert "| classification: accuracy | 0.8500 +- 0.0707 | 0.8400 +- 0.1414 | -0.0100 +- 0.0707 | 0.1000 |" in text
    assert "| together / sum of the three | 0.67 | 0.50 | 0.58 (median) |" in text
    text = tell_third(Session(tmp_path, None), third(0.5), given).read_text(encoding="utf-8")
    assert "| detection: mAP_50 | 0.6000 +- 0.1414 | 0.1000 |" in text


@pytest.mark.parametrize("task", ["multitask", "segmentation"])
def test_the_settings_fit(task: str) -> None:
    more = [multitask.THIRD] if task == "multitask" else []
    check(composed(f"task={task}", *settings(parser().parse_args([])), *more, "epochs=4", small=False))


def test_the_experiment_has_the_same_settings() -> None:
    common = ("task=multitask", "trainer=cpu")
    one = composed(*common, *settings(parser().parse_args([])), "epochs=16", small=False)
    other = composed(*common, "experiment=three_heads", small=False)
    assert one == other


@pytest.mark.full
def test_a_tiny_one_trains_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["multitask", *TINY, "--folder", str(tmp_path / "runs")])
    with pytest.raises(SystemExit):
        multitask.main()
    assert "5 steps of 8 images" in (tmp_path / "multitask.md").read_text(encoding="utf-8")
    assert (tmp_path / "partly_labelled.md").read_text(encoding="utf-8").count("| 0.") == 6
