"""`balanced` becomes numbers counted in the training records, before a head is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from tests.trainings import composed, frozen
from visionkit.config.frozen import thaw
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.engine import balancing
from visionkit.engine.balancing import class_weights, pos_weight, resolved, unresolved
from visionkit.engine.checkpoint import load_model
from visionkit.engine.fit import fit
from visionkit.engine.preflight import check
from visionkit.errors import ConfigError
from visionkit.types import LABEL_KINDS, Classes

NAMES = ("cat", "dog", "emu")


def records(count: int, **labels: Any) -> Records:
    return Records(
        images=np.zeros((count, 4, 4, 3), dtype=np.uint8),
        names=Strings(str(index) for index in range(count)),
        classes=Classes(),
        **labels,
    )


def present(kind: str, *rows: bool) -> np.ndarray:
    carried = np.zeros((len(rows), len(LABEL_KINDS)), dtype=bool)
    carried[:, LABEL_KINDS.index(kind)] = rows
    return carried


def node(**loss: Any) -> dict[str, Any]:
    return {"_target_": "a.Head", "dropout": 0.5, "loss": {"_target_": "a.Loss", **loss}}


def numbers(argument: str, kind: str, found: Records) -> list[float]:
    head = resolved(node(**{argument: "balanced", "other": 1}), kind, found, NAMES)
    value = head["loss"].pop(argument)
    assert head == node(other=1)
    assert all(type(number) is float for number in value)
    return value


def test_equals_scikit_learn() -> None:
    labels = np.random.default_rng(0).choice(4, 50, p=[0.1, 0.2, 0.3, 0.4])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert class_weights(np.bincount(labels)).tolist() == pytest.approx(expected.tolist())


def test_class_weights_by_hand() -> None:
    # Eight samples of the two classes that there are.
    assert class_weights(np.asarray([2, 0, 6])).tolist() == pytest.approx([8 / (2 * 2), 0, 8 / (2 * 6)])


def test_pos_weight_by_hand() -> None:
    found = pos_weight(np.asarray([25, 50, 80, 0, 1, 100, 99]), 100)
    assert found.tolist() == pytest.approx([3, 1, 1 / 4, 1, 20, 1 / 20, 1 / 20])


def test_what_carries_the_labels_is_counted() -> None:
    labels = records(5, labels=np.asarray([0, 0, 0, 2, 2]), present=present("labels", True, True, True, True, False))
    assert numbers("class_weights", "labels", labels) == pytest.approx([4 / (2 * 3), 0, 4 / (2 * 1)])
    shown = np.asarray([[0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=np.uint8)
    several = records(4, multilabel=shown, present=present("multilabel", True, True, True, False))
    assert numbers("pos_weight", "multilabel", several) == pytest.approx([2, 1 / 2, 1])


def test_pixels_are_counted_but_void_ones() -> None:
    masks = np.full((3, 4, 4), 255, dtype=np.uint8)
    masks[0, :3] = 0
    masks[1, 0] = 2
    masks[2] = 1
    found = records(3, masks=masks, present=present("mask", True, True, False))
    assert numbers("class_weights", "mask", found) == pytest.approx([16 / (2 * 12), 0, 16 / (2 * 4)])


def test_of_many_masks_some_are_read_and_what_others_may_show_weighs_as_the_rarest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(balancing, "MOST_MASKS", 3)
    masks = np.zeros((9, 4, 4), dtype=np.uint8)
    masks[[0, 4, 8], 0] = 1  # first, middle and last
    masks[[1, 5], 0] = 2
    weights = [48 / (2 * 36), 48 / (2 * 12), 48 / (2 * 12)]
    assert numbers("class_weights", "mask", records(9, masks=masks)) == pytest.approx(weights)
    some = records(5, masks=masks[:5], present=present("mask", True, False, True, False, True))
    assert numbers("class_weights", "mask", some) == pytest.approx([48 / (2 * 40), 48 / (2 * 8), 0])


def test_other_nodes_stay_as_they_are() -> None:
    labels = records(2, labels=np.asarray([0, 1]))
    for head in (node(class_weights=[1, 2, 3]), node(class_weights=None), node(), {"_target_": "a.Head"}):
        assert resolved(head, "labels", labels, NAMES) == head == unresolved(head)
    assert unresolved(node(class_weights="balanced", a=1)) == node(class_weights=None, a=1)
    assert unresolved(node(pos_weight="balanced")) == node(pos_weight=None)


def test_what_cannot_be_weighed_says_what_to_type() -> None:
    labels = records(2, labels=np.asarray([0, 1]))
    with pytest.raises(ConfigError, match=r"head\.loss\.class_weights=\[1, 2\] has 2 numbers.*3 classes.*cat, dog"):
        resolved(node(class_weights=[1, 2]), "labels", labels, NAMES)
    for argument, kind in (("pos_weight", "labels"), ("class_weights", "multilabel"), ("class_weights", "boxes")):
        with pytest.raises(ConfigError, match=f"head.loss.{argument}=balanced.*nothing to be counted"):
            resolved(node(**{argument: "balanced"}), kind, labels, NAMES)


@pytest.mark.parametrize(
    ("task", "argument", "changes"),
    [
        ("classification", "class_weights", ()),
        ("multilabel", "pos_weight", ()),
        ("segmentation", "class_weights", ("head.loss.class_balance=0",)),
    ],
)
def test_a_checkpoint_holds_the_numbers(
    task: str, argument: str, changes: tuple[str, ...], tmp_path: Path, one_thread: None
) -> None:
    word = f"head.loss.{argument}=balanced"
    run_dir = frozen(tmp_path / "run", f"task={task}", word, *changes)
    check(composed(f"task={task}", word, *changes))
    fit(run_dir)
    assert thaw(run_dir).head.loss[argument] == "balanced"
    model = load_model(run_dir / "checkpoints" / "best.ckpt")
    names = model.class_names[task]
    loss = model.manifest["network"]["heads"][task]["loss"]
    assert len(loss[argument]) == len(names)
    assert len({round(number, 3) for number in loss[argument]}) > 2
    head = model.network.heads[task]
    criterion = getattr(head, "linear", head).criterion
    assert getattr(criterion, argument).numbers == loss[argument]
    log = (run_dir / "train.log").read_text()
    assert f"head.loss.{argument}: {names[0]} {loss[argument][0]:.3g}, {names[1]} " in log
