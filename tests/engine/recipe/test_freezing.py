"""What is frozen stays as it is to the bit, what is not learns, in one process and in two."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.trainings import composed, frozen, train_in_two
from tests.two_stages import TWO_STAGES, NoStages, TwoStages
from visionkit.config.frozen import plain, thaw
from visionkit.engine import build, launch
from visionkit.engine.checkpoint import network_state, read
from visionkit.engine.fit import fit
from visionkit.engine.recipe import freezing
from visionkit.engine.setup import Setup, set_up
from visionkit.errors import ConfigError

HARSH = ("optimizer.weight_decay=0.5", "optimizer.lr=0.01", "trainer.gradient_clip_val=0.1")


def _setup(tmp_path: Path, *overrides: str) -> Setup:
    run_dir = frozen(tmp_path / "run", *TWO_STAGES, *HARSH, *overrides)
    return set_up(thaw(run_dir), run_dir, progress_bar=False)


def _state(setup: Setup) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in setup.module.network.backbone.state_dict().items()}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


FINE = {f"fine.{name}" for name in ("0.weight", "0.bias", "1.weight", "1.bias")}
COARSE = {name.replace("fine", "coarse") for name in FINE}
STATISTICS = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
ALL = FINE | COARSE | {f"{stage}.{name}" for stage in ("fine", "coarse") for name in STATISTICS}
NORMS = {name for name in ALL if ".1." in name}
CASES = {
    "nothing": ((), ALL),
    "the first stage": (("freeze.stages=1",), {name for name in ALL if name.startswith("coarse")}),
    "both stages": (("freeze.stages=2",), set()),
    "all": (("freeze.stages=all",), set()),
    "normalisations": (("freeze.norm=true",), ALL - NORMS),
    "a stage and normalisations": (("freeze.stages=1", "freeze.norm=true"), COARSE - NORMS),
}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("until", ["null", "5"])
def test_exactly_what_is_free_changes(tmp_path: Path, name: str, until: str) -> None:
    overrides, free = CASES[name]
    given = [f"freeze.until_epoch={until}"] if until != "null" and overrides else []
    setup = _setup(tmp_path, *overrides, *given, "channels_last=true", "epochs=2")
    before = _state(setup)
    head = setup.module.network.heads["classification"].classifier.weight.clone()
    setup.trainer.fit(setup.module, setup.data)
    assert _changed(before, _state(setup)) == free
    assert not torch.equal(head, setup.module.network.heads["classification"].classifier.weight)


def test_a_frozen_parameter_costs_no_gradient_and_is_no_optimizers(tmp_path: Path) -> None:
    setup = _setup(tmp_path, "freeze.stages=1")
    setup.trainer.fit(setup.module, setup.data)
    wanting = {n for n, p in setup.module.network.backbone.named_parameters() if p.requires_grad}
    assert wanting == COARSE
    optimized = {id(p) for group in setup.trainer.optimizers[0].param_groups for p in group["params"]}
    frozen_ids = {id(p) for n, p in setup.module.network.backbone.named_parameters() if n in FINE}
    assert not optimized & frozen_ids


def test_from_the_epoch_on_all_is_free(tmp_path: Path) -> None:
    """Epochs 0 and 1 are held, with a validation between them; the third is not."""
    setup = _setup(tmp_path, "freeze.stages=1", "freeze.norm=true", "freeze.until_epoch=2", "epochs=3")
    states: list[dict[str, Tensor]] = [_state(setup)]
    norms: list[float] = []

    class Watch(freezing.L.Callback):
        def on_train_epoch_end(self, *_: object) -> None:
            states.append(_state(setup))

        def on_train_batch_end(self, trainer: object, module: nn.Module, *_: object) -> None:
            norms.append(float(module.network.backbone.fine[1].training))

    setup.trainer.callbacks.append(Watch())
    setup.trainer.fit(setup.module, setup.data)
    assert [_changed(a, b) for a, b in pairwise(states)] == [COARSE - NORMS, COARSE - NORMS, ALL]
    steps = len(norms) // 3
    assert norms == [0.0] * 2 * steps + [1.0] * steps


def test_levels_come_free_one_after_the_other_from_the_coarsest_on(tmp_path: Path) -> None:
    """The coarse level in epoch 1, the fine one in epoch 3; broken off in epoch 2 and resumed, it is the same."""
    given = ("freeze.stages=all", "freeze.norm=true", "freeze.until_epoch=[1,3]", "ema.decay=0.9", "epochs=4")
    coarse = COARSE | {f"coarse.{name}" for name in STATISTICS}

    class Watch(freezing.L.Callback):
        def on_train_epoch_end(self, trainer: freezing.L.Trainer, *_: object) -> None:
            states.append(_state(setup))
            if trainer.current_epoch == 2:
                trainer.save_checkpoint(tmp_path / "third.ckpt")

    ends = []
    for name, checkpoint in {"whole": None, "resumed": tmp_path / "third.ckpt"}.items():
        setup = _setup(tmp_path / name, *given)
        setup.trainer.callbacks.append(Watch())
        states = [_state(setup)]
        setup.trainer.fit(setup.module, setup.data, ckpt_path=checkpoint, weights_only=True)
        ends.append(states[-1])
        if checkpoint is None:
            assert [_changed(a, b) for a, b in pairwise(states)] == [set(), coarse, coarse, ALL]
            held = read(tmp_path / "third.ckpt")["callbacks"]["EMA"]["average"]
            assert all(torch.equal(held[f"backbone.{name}"], states[0][name]) for name in FINE)
    assert not _changed(*ends)


def test_a_list_of_epochs_frees_normalisations_with_their_level() -> None:
    """Those of levels that are not frozen come with the first, those of a level of its own with it."""
    settings = {"stages": 1, "norm": True, "until_epoch": [4]}
    assert freezing.choose(settings, TwoStages()).norms == {"fine.1": 4, "coarse.1": 4}
    part = freezing.choose({"stages": "all", "norm": True, "until_epoch": [2, 5]}, TwoStages())
    assert part.norms == {"fine.1": 5, "coarse.1": 2}
    assert part.parameters == {**dict.fromkeys(FINE, 5), **dict.fromkeys(COARSE, 2)}


def test_clipping_does_not_see_what_is_frozen_for_now(tmp_path: Path) -> None:
    """The same head is learnt whether the backbone is frozen for the whole training or until a later epoch."""
    heads = []
    for name, given in {"whole": [], "until": ["freeze.until_epoch=9"]}.items():
        setup = _setup(tmp_path / name, "freeze.stages=all", "trainer.gradient_clip_val=0.01", "optimizer=sgd", *given)
        setup.trainer.fit(setup.module, setup.data)
        heads.append(setup.module.network.heads["classification"].classifier.weight.detach())
    assert torch.equal(*heads)


def test_a_backbone_of_the_config_freezes_by_its_levels(tmp_path: Path) -> None:
    config = plain(composed("backbone=resnet_tiny"))
    backbone = build.build(build.backbone_node(config))
    settings = {"norm": False, "until_epoch": None}
    counts = range(len(backbone.levels) + 1)
    sizes = [len(freezing.choose({**settings, "stages": count}, backbone).parameters) for count in counts]
    assert sizes[0] == 0
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == len(list(backbone.parameters()))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["freeze.stages=9"], "freeze.stages=9 but the backbone has 2 levels; give 0 to 2, or all"),
        (["freeze.stages=-1"], "freeze.stages=-1 is no number of stages"),
        (["freeze.stages=most"], "freeze.stages=most is no number of stages; give 0, 1, 2, ... or all"),
        (["freeze.norm=3"], "freeze.norm=3 is neither true nor false"),
        (["freeze.until_epoch=0", "freeze.stages=1"], "freeze.until_epoch=0 is out of range"),
        (["freeze.until_epoch=2"], "freeze.until_epoch=2 needs something to be frozen"),
        (["freeze=2"], "give freeze.stages=2"),
        (["freeze.until_epoch=[1,2]", "freeze.stages=1"], "each of the levels that freeze.stages=1 freezes, 1 in all"),
        (["freeze.until_epoch=[2,1]", "freeze.stages=all"], "freeze.until_epoch=[2, 1] is out of order"),
        (["freeze.until_epoch=[0,1]", "freeze.stages=all"], "freeze.until_epoch=0 is out of range"),
        (
            [
                "backbone._target_=tests.two_stages.NoStages",
                "freeze.stages=all",
                "freeze.until_epoch=[1,2]",
            ],
            "only freeze.stages=all, with one epoch or none, works",
        ),
        (
            ["backbone._target_=tests.two_stages.NoStages", "freeze.stages=1"],
            "only freeze.stages=all works",
        ),
    ],
)
def test_wrong_values_are_refused_before_data_is_read(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        launch.check(composed(*TWO_STAGES, *overrides))
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_all_of_an_unknown_backbone_can_be_frozen() -> None:
    part = freezing.choose({"stages": "all", "norm": False, "until_epoch": 3}, NoStages())
    assert part.parameters == dict.fromkeys(FINE | COARSE, 3)
    assert part.norms == {"fine.1": 3, "coarse.1": 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "until", "held"),
    [
        (TWO_STAGES, "null", FINE | NORMS),
        # Without batch statistics, which of halves are not those of the whole.
        (("backbone=lenet",), "1", {"stages.0.0.1.0.weight", "stages.0.0.1.0.bias"}),
    ],
)
def test_two_processes_hold_and_free_the_same(
    tmp_path: Path, backbone: tuple[str, ...], until: str, held: set[str]
) -> None:
    given = (
        *backbone, "optimizer=sgd", "optimizer.lr=0.01", "epochs=2", "data.num_scenes=44",
        "trainer.gradient_clip_val=null", "freeze.stages=1", f"freeze.until_epoch={until}",
        f"freeze.norm={str(until == 'null').lower()}",
    )  # fmt: skip
    alone = frozen(tmp_path / "alone", *given)
    pair = frozen(tmp_path / "pair", *given, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    fit(alone)
    train_in_two(pair)
    one, two = (network_state(read(run / "checkpoints/last.ckpt")) for run in (alone, pair))
    start = set_up(thaw(alone), tmp_path / "fresh", progress_bar=False).module.network.state_dict()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    held = {f"backbone.{name}" for name in held}
    assert _changed({name: start[name] for name in held}, two) == (set() if until == "null" else held)
    assert (
        json.loads((pair / "result.json").read_text())["steps"]
        == json.loads((alone / "result.json").read_text())["steps"]
    )
