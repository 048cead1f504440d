"""Which heads a train config has, and what a run of them is judged by."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trainings import composed
from visionkit.config.frozen import plain
from visionkit.engine import build, heads
from visionkit.engine.module import combined
from visionkit.tasks.base import Task


def config(*overrides: str) -> dict[str, Any]:
    return plain(composed("run_dir=x", "name=x", *overrides))


def tasks_of(settings: dict[str, Any]) -> dict[str, Task]:
    return build.build_tasks({name: head.task for name, head in heads.heads(settings).items()})


def test_a_single_task_is_the_case_of_one_head() -> None:
    settings = config("task=detection")
    (found,) = heads.heads(settings).values()
    assert list(heads.heads(settings)) == ["detection"]
    assert (found.key, found.task_key, found.neck, found.weight) == ("head", "task", "neck", 1.0)
    assert heads.necks(settings) == {"neck": settings["neck"]}
    assert heads.written(settings, "heads.detection") == "head"
    assert heads.written(settings, "backbone") == "backbone"
    assert heads.monitor(settings, tasks_of(settings)) == "val/mAP_50"


def test_heads_are_chosen_weighed_and_left_out_by_name() -> None:
    settings = config(
        "task=multitask", "head@heads.segmentation=fcn", "heads.segmentation.weight=0.5",
        "head@heads.classification=none", "head@heads.multilabel=multilabel",
    )  # fmt: skip
    found = heads.heads(settings)
    assert list(found) == ["multilabel", "detection", "segmentation"]
    assert {name: head.weight for name, head in found.items()} == {
        "multilabel": 1.0,
        "detection": 1.0,
        "segmentation": 0.5,
    }
    assert {name: head.neck for name, head in found.items()} == {
        "multilabel": None,
        "detection": "fpn",
        "segmentation": None,
    }
    assert found["segmentation"].node["_target_"].endswith("FCNHead")
    assert not {"weight", "neck"} & set(found["segmentation"].node)  # no constructor takes them
    assert heads.written(settings, "heads.detection") == "heads.detection"
    changed = heads.with_nodes(settings, {"detection": {"radius": 9.0}})
    assert heads.heads(changed)["detection"].node["radius"] == 9.0
    assert heads.heads(changed)["segmentation"] == found["segmentation"]
    assert heads.heads(settings)["detection"].node["radius"] != 9.0


def test_a_neck_that_no_head_reads_is_not_built() -> None:
    assert list(heads.necks(config("task=multitask"))) == ["fpn"]
    assert heads.necks(config("task=multitask", "head@heads.detection=none")) == {}
    both = config("task=multitask", "heads.segmentation.neck=fpn")
    assert [head.neck for head in heads.heads(both).values()] == [None, "fpn", "fpn"]


@pytest.mark.parametrize(
    ("given", "judged"),
    [
        ((), "val/combined"),
        (("task.monitor=segmentation/mIoU",), "val/segmentation/mIoU"),
        (("head@heads.detection=none", "head@heads.segmentation=none"), "val/accuracy"),
        (
            ("head@heads.detection=none", "head@heads.classification=none", "task.monitor=segmentation/mIoU"),
            "val/mIoU",
        ),
    ],
)
def test_what_picks_the_best_checkpoint(given: tuple[str, ...], judged: str) -> None:
    settings = config("task=multitask", *given)
    assert heads.monitor(settings, tasks_of(settings)) == judged


def test_combined_is_the_mean_of_the_heads_own_monitors() -> None:
    tasks = tasks_of(config("task=multitask", "tasks.segmentation.monitor=mIoU"))
    scores = {
        "val/classification/accuracy": 0.5,
        "val/detection/mAP_50": 0.2,
        "val/segmentation/mIoU": 0.8,
        "val/segmentation/mIoU_foreground": 0.1,
        "test/detection/mAP_50": 0.9,
    }
    assert combined(tasks, scores, "val") == {"val/combined": pytest.approx(0.5)}
    assert combined(tasks, scores, "test") == {}  # a head without a score is no 0
