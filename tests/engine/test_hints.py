"""Each hint speaks where it applies, with the number seen and what to type, and is silent elsewhere."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.trainings import frozen
from visionkit.config.arguments import rewrite
from visionkit.config.frozen import command_line
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.engine import facts, hints
from visionkit.engine.callbacks import History
from visionkit.engine.facts import Facts
from visionkit.engine.fit import fit
from visionkit.types import Classes

FINE = Facts(
    kind="labels",
    monitor="val/accuracy",
    value=0.95,
    trivial=0.1,
    scores=(0.5, 0.7, 0.8, 0.9, 0.93, 0.94, 0.95, 0.95),
    losses=(2.0, 1.0, 0.5),
    first_loss=2.3,
    steps=300,
    lr=4e-3,
    longer="budget=4min",
    interrupted=False,
    limited=False,
    command='python -m visionkit.train task=classification data.root="my birds" run_dir=first',
    images=5000,
    embedded=False,
    init=None,
    download=98,
    resnet18=45,
    train_missing=(),
    val_missing=(),
    sides=(),
    stride=4,
    size=(320, 320),
)
FLAT = (0.1, 0.3, 0.4, 0.4, 0.41, 0.4, 0.4, 0.41)
POOR = FINE._replace(value=0.4, scores=FLAT)


def test_a_good_run_gets_no_hint() -> None:
    assert hints.hints(FINE) == []
    assert hints.hints(FINE._replace(images=100)) == []


def test_each_head_is_judged_by_itself_and_named() -> None:
    good = FINE._replace(head="classification", monitor="val/classification/accuracy")
    bad = POOR._replace(head="detection", kind="boxes", monitor="val/detection/mAP_50", value=0.105)
    assert hints.hints(good, good._replace(head="other")) == []
    (hint, weights) = hints.hints(good, bad)
    assert hint.startswith("val/detection/mAP_50 is 0.105, no better than the constant guess (0.100)")
    assert hints.hints(bad, good) == [hint, weights]
    unseen = good._replace(train_missing=("owl",))
    assert hints.hints(unseen, good)[0].startswith("classification: train shows no owl")
    small = bad._replace(sides=(3.0,) * 20, value=0.4)
    assert any(one.startswith("detection: 100% of the training boxes") for one in hints.hints(good, small))


def test_what_holds_for_all_heads_is_said_once() -> None:
    first = POOR._replace(head="classification", monitor="val/classification/accuracy", steps=14)
    second = first._replace(head="detection", kind="boxes", monitor="val/detection/mAP_50")
    assert len(hints.hints(first, second)) == len(hints.hints(first)) == 2  # too short, and no weights
    rising = tuple(0.1 + 0.05 * step for step in range(8))
    several = [facts._replace(steps=300, scores=rising) for facts in (first, second)]
    (short, _) = hints.hints(*several)
    assert "val/classification/accuracy was still rising" in short
    assert "val/detection/mAP_50 was still rising" in short
    assert short.count("type budget=4min") == 1
    thrown = [facts._replace(losses=(5.0, 4.0), first_loss=2.0) for facts in (first, second)]
    assert len(hints.hints(*thrown)) == 1


@pytest.mark.parametrize(
    ("monitor", "value", "trivial", "is_poor"),
    [
        ("val/accuracy", 0.72, 0.1, True),  # 0.69 of the way
        ("val/accuracy", 0.74, 0.1, False),
        ("val/accuracy", 0.95, 0.9, True),  # 95 % right where 90 % are of one class
        ("val/mAP_50", 0.6, 0.0, True),
        ("val/mAP", 0.36, 0.0, False),
        ("val/boxes/mAP", 0.34, 0.0, True),
        ("val/accuracy", float("nan"), 0.1, True),
        ("val/accuracy", 1.0, 1.0, True),  # one class only: nothing could be shown
    ],
)
def test_poor_is_counted_from_the_constant_guess(monitor: str, value: float, trivial: float, is_poor: bool) -> None:
    kind = "boxes" if "mAP" in monitor else "labels"
    assert hints.poor(FINE._replace(kind=kind, monitor=monitor, value=value, trivial=trivial)) is is_poor


def test_only_detectors_are_judged_by_half_of_their_map() -> None:
    found = FINE._replace(monitor="val/mAP", value=0.5, trivial=0.1)
    assert not hints.poor(found._replace(kind="boxes"))
    assert hints.poor(found._replace(kind="multilabel"))


def test_weights_are_proposed_with_their_size_and_the_users_own_command() -> None:
    hint = hints.no_weights(POOR)
    assert hint is not None
    assert "5000 images" in hint
    assert "98 MB" in hint
    command = hint.split("type ")[1]
    assert shlex.split(command) == [
        "python", "-m", "visionkit.train", "task=classification", "data.root=my birds", "init.backbone=imagenet"
    ]  # fmt: skip


def test_weights_are_proposed_with_a_backbone_that_has_them() -> None:
    hint = hints.no_weights(POOR._replace(download=None, command="python -m visionkit.train backbone=vgg_tiny seed=1"))
    assert hint is not None
    assert "45 MB" in hint
    assert hint.endswith("type python -m visionkit.train seed=1 backbone=resnet18 init.backbone=imagenet")


@pytest.mark.parametrize(
    ("change", "speaks"),
    [
        ({}, True),
        ({"init": "imagenet"}, False),
        ({"embedded": True}, False),
        ({"value": 0.8, "images": 999}, True),
        ({"value": 0.8, "images": 1000}, False),
        ({"value": 0.95, "images": 999}, False),
    ],
)
def test_when_weights_are_proposed(change: dict[str, Any], speaks: bool) -> None:
    assert (hints.no_weights(POOR._replace(**change)) is not None) is speaks


@pytest.mark.parametrize(
    "root", ["/data/my birds", "it's", "back\\slash", "a,b (ü)=1", "${HOME}", "/plain", "'quoted'"]
)
def test_a_path_stands_in_the_command_as_it_was_typed(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = rewrite([f"data.root={root}"])
    monkeypatch.setattr("sys.argv", ["train.py", *arguments])
    again = shlex.split(hints.again(command_line(), {"seed": "1"}))
    assert rewrite(again[3:]) == [*arguments, "seed=1"]


def test_a_command_that_tuned_is_that_of_a_training() -> None:
    command = "python -m visionkit.train optimizer.lr=1 tune=lr run_dir=here seed=1"
    assert hints.again(command, {"optimizer.lr": "2"}) == "python -m visionkit.train seed=1 optimizer.lr=2"


def test_a_command_that_cannot_be_taken_apart_leaves_the_settings() -> None:
    assert hints.again('python -m visionkit.train data.root=5"', {"a": "b"}) == "a=b"


def test_in_a_sweep_the_settings_stand_alone() -> None:
    command = "python -m visionkit.train -m backbone=vgg_tiny,resnet_tiny"
    assert hints.again(command, {"init.backbone": "imagenet"}) == "init.backbone=imagenet"


def test_a_rising_curve_was_cut_short() -> None:
    hint = hints.too_short(POOR._replace(scores=(0.1, 0.15, 0.2, 0.25, 0.3, 0.33, 0.37, 0.4)))
    assert hint == (
        "val/accuracy was still rising (by 0.102 in the last 4 epochs): the training was too short; type budget=4min"
    )


@pytest.mark.parametrize(
    "scores",
    [
        FLAT,
        (0.1, 0.3, 0.4, 0.42, 0.38, 0.3, 0.44, 0.4),  # up and down
        (0.1, 0.3, 0.5, 0.6, 0.5, 0.4, 0.3, 0.2),
        (0.1, 0.2, 0.3, 0.395, 0.396, 0.397, 0.398, 0.4),  # too little to matter
    ],
)
def test_a_flat_or_noisy_curve_was_not(scores: tuple[float, ...]) -> None:
    assert hints.too_short(POOR._replace(scores=scores)) is None


def test_noise_alone_is_seldom_taken_for_a_rise() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(0.4, 0.05, (400, 16))
    rising = flat + np.linspace(-0.2, 0.2, 16)
    spoken = [
        sum(hints.too_short(POOR._replace(scores=tuple(row))) is not None for row in rows) / len(rows)
        for rows in (flat, rising)
    ]
    assert spoken[0] < 0.08
    assert spoken[1] > 0.5


def test_the_climb_is_that_of_the_least_squares_line() -> None:
    # By hand: the line is 0.1 + 0.6 x, its residuals -0.1, -0.7, 1.7, -0.9; squared distances from x = 1.5 sum to 5.
    climb, error = hints._climb((0.0, 0.0, 3.0, 1.0))
    assert climb == pytest.approx(3 * 0.6)
    assert error == pytest.approx(3 * ((0.1**2 + 0.7**2 + 1.7**2 + 0.9**2) / 2 / 5) ** 0.5)


@pytest.mark.parametrize(
    ("epochs", "steps", "speaks"), [(1, 300, True), (3, 300, True), (4, 300, False), (9, 199, True), (9, 200, False)]
)
def test_a_handful_of_epochs_or_steps_is_too_few(epochs: int, steps: int, speaks: bool) -> None:
    few = POOR._replace(scores=(0.4,) * epochs, losses=(1.0,) * epochs, steps=steps)
    hint = hints.too_short(few)
    assert (hint is not None) is speaks
    assert hint is None or hint.startswith(f"{steps} steps in {epochs} passes over the images")
    assert hints.too_short(few._replace(value=0.95)) is None
    assert hints.too_short(few._replace(interrupted=True)) is None


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ((2.0, float("nan")), "became no number: the learning rate 0.3 is probably too high; type optimizer.lr=0.1"),
        ((2.0, float("inf"), 2.0), "became no number"),
        ((2.2, 2.5), "was 2.30 at the start, then up to 2.50, and 2.50 at the end"),
        ((2.6, 2.1), "was 2.30 at the start, then up to 2.60, and 2.10 at the end"),
    ],
)
def test_a_training_that_was_thrown_off_had_too_high_a_rate(losses: tuple[float, ...], said: str) -> None:
    thrown = POOR._replace(losses=losses, lr=0.3, scores=(0.1, 0.2))
    assert said in (hints.too_high_rate(thrown) or "")
    assert len(hints.hints(thrown)) == 1  # nothing else is known before the rate is right


def test_a_loss_that_doubled_needs_no_more_steps_to_be_sure() -> None:
    doubled = POOR._replace(losses=(4.7, 2.2), steps=8)
    assert hints.too_high_rate(doubled) is not None
    assert hints.too_high_rate(doubled._replace(losses=(4.5, 2.2))) is None


@pytest.mark.parametrize(
    "change",
    [
        {"losses": (2.4, 2.2)},
        {"losses": (9.0, 2.0)},
        {"losses": (2.5,), "steps": 19},
        {"losses": (9.0, 2.0), "steps": 19},
        {"losses": (2.5,), "value": 0.95},
        {"losses": (2.5,), "lr": None},
        {"losses": ()},
    ],
)
def test_a_training_that_was_not_had_none(change: dict[str, Any]) -> None:
    assert hints.too_high_rate(POOR._replace(**change)) is None


def test_small_boxes_want_a_larger_size() -> None:
    sides = (4.0,) * 20 + (40.0,) * 80
    poor = POOR._replace(sides=sides, size=(64, 64))
    hint = hints.small_boxes(poor)
    assert hint is not None
    assert hint.startswith("20% of the training boxes are less than 8 pixels")
    assert hint.endswith("type data.size=128")
    assert (hints.small_boxes(poor._replace(size=(64, 96))) or "").endswith("type data.size='[128,192]'")
    assert (hints.small_boxes(poor._replace(sides=(0.1,) * 100)) or "").endswith("type data.size=256")
    assert hints.small_boxes(poor._replace(sides=(8.0,) * 20 + (40.0,) * 80)) is None
    assert hints.small_boxes(poor._replace(sides=(4.0,) * 9 + (40.0,) * 91)) is None
    assert hints.small_boxes(poor._replace(stride=2)) is None
    assert hints.small_boxes(poor._replace(value=0.95)) is None
    assert hints.small_boxes(POOR) is None


def test_no_better_than_the_guess_means_look_at_the_pictures() -> None:
    assert "0.105, no better than the constant guess (0.100)" in (
        hints.nothing_learned(POOR._replace(value=0.105)) or ""
    )
    assert hints.nothing_learned(POOR._replace(value=0.13)) is None


def test_classes_without_samples_are_named_whatever_the_result() -> None:
    (hint,) = hints.hints(FINE._replace(train_missing=("owl",), val_missing=("owl", "wren")))
    assert "train shows no owl: that cannot be learned" in hint
    assert "val shows no owl, wren: val/accuracy does not speak of that" in hint
    many = tuple(f"class{number}" for number in range(12))
    assert "class7 and 4 more" in (hints.unseen_classes(FINE._replace(val_missing=many)) or "")


def test_a_run_of_a_few_batches_gets_none() -> None:
    assert hints.hints(POOR) != []
    assert hints.hints(POOR._replace(limited=True)) == []


def _records(count: int = 2, **labels: Any) -> Records:
    return Records(
        images=np.zeros((count, 50, 100, 3), dtype=np.uint8),
        names=Strings(str(index) for index in range(count)),
        classes=Classes(),
        **labels,
    )


def test_missing_classes_are_found_in_every_kind_of_label() -> None:
    names = ("a", "b", "c")
    labels = _records(labels=np.asarray([2, 0]))
    assert facts.missing_classes(labels, "labels", names) == ("b",)
    several = np.asarray([[1, 0, 0], [1, 0, 1]], dtype=np.uint8)
    assert facts.missing_classes(_records(multilabel=several), "multilabel", names) == ("b",)
    masks = np.full((2, 50, 100), 255, dtype=np.uint8)
    masks[1, 3, 4] = 1
    assert facts.missing_classes(_records(masks=masks), "mask", names) == ("a", "c")
    boxes = _boxes([[0, 0, 9, 9], [0, 0, 9, 9]], label=[1, 2], ignore=[False, True])
    assert facts.missing_classes(boxes, "boxes", names) == ("a", "c")


def _boxes(boxes: list[list[float]], label: list[int], ignore: list[bool]) -> Records:
    return _records(
        boxes=np.asarray(boxes, dtype=np.float32),
        box_label=np.asarray(label),
        box_ignore=np.asarray(ignore),
        box_start=np.asarray([0, 1, len(boxes)]),
    )


def test_sides_are_those_that_the_network_sees() -> None:
    # 50 x 100 images fit into 32 x 20 (height x width) at a fifth of their size.
    records = _boxes([[0, 0, 20, 50], [0, 0, 5, 5], [10, 10, 60, 30]], label=[0, 0, 0], ignore=[False, True, False])
    assert facts.box_sides(records, (32, 20)) == pytest.approx((4.0, 4.0))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"epochs": None, "budget": None, "trainer": {}}, "budget=4min"),
        ({"epochs": None, "budget": "20s", "trainer": {}}, "budget=40s"),
        ({"epochs": None, "budget": "1.5h", "trainer": {}}, "budget=3h"),
        ({"epochs": None, "budget": "75s", "trainer": {}}, "budget=150s"),
        ({"epochs": 30, "budget": None, "trainer": {}}, "epochs=60"),
        ({"epochs": None, "budget": None, "trainer": {"max_epochs": 5}}, "trainer.max_epochs=10"),
    ],
)
def test_twice_as_long(config: dict[str, Any], said: str) -> None:
    assert facts.twice_as_long(config) == said


def test_a_poor_run_says_so_on_screen_and_in_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two classes of noise with an empty one in val: nothing can be learned."""
    seen: list[Facts] = []
    gather = facts.gather

    def spy(*arguments: Any) -> list[Facts]:
        seen.extend(gather(*arguments))
        return seen

    monkeypatch.setattr(facts, "gather", spy)
    rng = np.random.default_rng(0)
    for split, name, count in (("train", "a", 6), ("train", "b", 3), ("val", "a", 2)):
        folder = tmp_path / "data" / split / name
        folder.mkdir(parents=True)
        for index in range(count):
            picture = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            (folder / f"{index}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    run_dir = frozen(
        tmp_path / "run", "data=image_folder", f"data.root={tmp_path / 'data'}", "data.size=32", "data.batch_size=4",
        "data.workers=0", "epochs=2", "trainer=cpu", small=False,
    )  # fmt: skip
    fit(run_dir)
    (found,) = seen
    assert len(found.scores) == len(found.losses) == 2
    assert 0.4 < found.first_loss < 1.2  # the logarithm of two classes
    assert (found.images, found.embedded, found.download, found.resnet18) == (9, False, None, 45)
    assert (found.train_missing, found.val_missing) == ((), ("b",))
    assert (found.stride, found.size, found.longer) == (2, (32, 32), "epochs=4")
    said = json.loads((run_dir / "result.json").read_text())["hints"]
    assert any("4 steps in 2 passes" in hint and "epochs=4" in hint for hint in said)
    assert any("val shows no b" in hint for hint in said)
    assert any("backbone=resnet18 init.backbone=imagenet" in hint for hint in said)
    shown = capsys.readouterr().out
    assert "hints:" in shown
    for hint in said:
        assert f"- {hint}" in shown.replace("\n  ", " ")


def test_an_evaluation_behind_the_training_is_no_part_of_its_curve() -> None:
    class Trainer:
        class state:  # noqa: N801
            fn = "validate"

        callback_metrics = {"val/accuracy": 0.5, "val/a/mIoU": 0.25}  # noqa: RUF012

    history, trainer = History("val/accuracy", ("val/a/mIoU", "val/b/mIoU")), Trainer()
    history.on_validation_end(trainer, None)  # type: ignore[arg-type]
    assert history.scores == []
    trainer.state.fn = "fit"
    history.on_validation_end(trainer, None)  # type: ignore[arg-type]
    assert history.scores == [0.5]
    assert history.beside == {"val/a/mIoU": [0.25], "val/b/mIoU": []}  # b had no label in val
