"""Arguments are checked against constructors before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.models.backbone_checks import SMALLEST
from tests.trainings import composed
from visionkit.config.folders import conf_dir, options
from visionkit.engine.preflight import check
from visionkit.engine.signatures import problems
from visionkit.errors import ConfigError

SCHEDULE = "visionkit.engine.recipe.schedule.WarmupCosine"


def one(node: dict[str, Any]) -> str:
    found = list(problems({"scheduler": node}))
    assert len(found) == 1, found
    return found[0]


def test_a_mistyped_argument_is_suggested() -> None:
    message = one({"_target_": SCHEDULE, "warmpu": 0.1})
    assert "scheduler.warmpu=0.1" in message
    assert "did you mean scheduler.warmup?" in message


def test_text_for_a_number_is_refused() -> None:
    assert "scheduler.final=abc is str" in one({"_target_": SCHEDULE, "final": "abc"})


def test_null_for_a_number_is_refused() -> None:
    assert "takes float" in one({"_target_": SCHEDULE, "final": None})


def test_whole_numbers_pass_for_floats() -> None:
    assert not list(problems({"s": {"_target_": SCHEDULE, "final": 0}}))


def test_a_missing_argument_is_named() -> None:
    assert "scheduler.threshold has no value" in one({"_target_": "visionkit.tasks.detection.DetectionTask"})


def test_an_unknown_target_is_named() -> None:
    assert "cannot be imported" in one({"_target_": "visionkit.engine.recipe.schedule.Cosinus"})
    assert one({"_target_": "no.such.thing"}).endswith("cannot be imported: No module named 'no'")


def test_all_problems_come_at_once_with_their_keys() -> None:
    config = {"a": {"_target_": SCHEDULE, "x": 1}, "b": [{"_target_": SCHEDULE, "y": 1}]}
    found = "\n".join(problems(config))
    assert "a.x=1" in found
    assert "b[0].y=1" in found


def test_all_layers_speak_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check(composed("epochs=0", "+head.wide=1", "data=voc", "+optimizer.momentun=0.9", small=False))
    said = str(caught.value)
    assert "data.root has no value" in said
    assert "head.wide=1" in said
    assert "optimizer.momentun=0.9" in said


@pytest.mark.parametrize("key", ["trainer.limit_train_batches=5", "optimizer.amsgrad=true"])
def test_every_argument_of_a_constructor_may_be_given(key: str) -> None:
    check(composed(f"+{key}"))


@pytest.mark.parametrize(
    "key", ["trainer.limit_train_batchs=5", "optimizer.momentum=0.9", "head.wide=1", "head.num_classes=3"]
)
def test_other_arguments_may_not(key: str) -> None:
    with pytest.raises(ConfigError, match=key.split("=")[0].replace(".", r"\.")):
        check(composed(f"+{key}"))


@pytest.mark.parametrize("key", ["optimizer.lr=abc", "trainer.max_epochs=many"])
def test_values_of_a_library_are_checked_too(key: str) -> None:
    override = f"+{key}" if key.startswith("trainer") else key
    with pytest.raises(ConfigError, match="is str"):
        check(composed(override))


OPTIONS = [
    # The larger members of a family differ from the smallest by names and numbers, which test_backbone_families sees.
    pytest.param(f"{group}={option}", marks=pytest.mark.slow if group == "backbone" and option not in SMALLEST else ())
    for group in ("backbone", "augment", "optimizer", "scheduler", "callbacks", "logger", "experiment")
    for option in options([conf_dir()], group)
]


@pytest.mark.parametrize("choice", OPTIONS)
def test_every_option_of_the_config_passes(choice: str, tmp_path: Path) -> None:
    config = composed(choice, small=False)
    if OmegaConf.is_missing(config.data, "root"):
        config.data.root = str(tmp_path)
    if choice == "backbone=inception_v3":
        config.data.size = 80  # its layers as published, which do not pad, need that much
    if choice == "optimizer=torch":
        config.optimizer._target_ = "torch.optim.RMSprop"
    check(config)
