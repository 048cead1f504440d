"""Which run a training goes on with, and what of it may change."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from tests.trainings import composed
from visionkit.config.frozen import freeze, plain, thaw
from visionkit.engine import launch
from visionkit.engine.survival import resume
from visionkit.engine.survival.occupied import LOCK, occupied
from visionkit.engine.survival.resume import checkpoint_of, differences, place
from visionkit.errors import ConfigError


@pytest.fixture(scope="module")
def config() -> DictConfig:
    return composed("epochs=4", "resume=auto")


def changed(config: DictConfig, **settings: Any) -> DictConfig:
    """Return a config with other values; `__` in a name stands for a dot."""
    other = OmegaConf.create(OmegaConf.to_container(config))
    for key, value in settings.items():
        OmegaConf.update(other, key.replace("__", "."), value, force_add=True)
    return other


def run(config: DictConfig, folder: Path, *, checkpoint: bool = True, **result: Any) -> Path:
    """Return the folder of a run as it would be left."""
    (folder / "checkpoints").mkdir(parents=True)
    freeze(config, folder, "python -m visionkit.train first")
    if checkpoint:
        zipfile.ZipFile(folder / "checkpoints/last.ckpt", "w").close()
    if result:
        defaults = {"interrupted": False, "monitor": "val/accuracy", "metrics": {"val/accuracy": 0.5}}
        (folder / "result.json").write_text(json.dumps({**defaults, "seconds": {"training": 90.0}, **result}))
    return folder


def test_nothing_is_gone_on_with_unasked(config: DictConfig, tmp_path: Path) -> None:
    folder = run(config, tmp_path / "run")
    assert place(changed(config, resume=None, run_dir=str(folder))) is None


@pytest.mark.parametrize("given", ["run", "run/checkpoints/last.ckpt"])
def test_a_path_is_a_run_or_its_checkpoint(
    config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    folder = run(config, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert place(changed(config, resume=given)) == (folder, None, folder / "checkpoints/last.ckpt")
    with pytest.raises(ConfigError, match="run_dir=other is another"):
        place(changed(config, resume=given, run_dir="other"))


def test_a_path_without_a_checkpoint_is_refused(config: DictConfig, tmp_path: Path) -> None:
    folder = run(config, tmp_path / "run", checkpoint=False)
    with pytest.raises(ConfigError, match=r"holds no checkpoints/last\.ckpt"):
        place(changed(config, resume=str(folder)))


def test_auto_takes_what_run_dir_holds(config: DictConfig, tmp_path: Path) -> None:
    wanted = changed(config, run_dir=str(tmp_path / "run"))
    assert place(wanted) is None
    folder = run(config, tmp_path / "run", checkpoint=False)
    assert place(wanted) == (folder, None, None)  # killed before its first checkpoint: begins anew, in the same folder
    zipfile.ZipFile(folder / "checkpoints/last.ckpt", "w").close()
    assert place(wanted) == (folder, None, checkpoint_of(folder))


def test_auto_takes_the_newest_unfinished_run_of_the_same_config(
    config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert place(config) is None
    runs = tmp_path / "runs/2026-01-01"
    made = [
        run(config, runs / "a"),
        run(config, runs / "z"),
        run(changed(config, epochs=9, data__workers=1), runs / "interrupted", epochs=1, interrupted=True),
        run(config, runs / "without", checkpoint=False),
        run(changed(config, seed=1), runs / "other"),
        run(config, runs / "finished", epochs=4),
    ]
    for age, folder in enumerate(made):
        os.utime(folder / "config.yaml", (age, age))
    found = []
    while place(config):
        found.append(place(config).run_dir.name)  # type: ignore[union-attr]
        (runs / found[-1] / "checkpoints/last.ckpt").unlink()
    assert found == ["interrupted", "z", "a"]


def test_a_run_that_is_being_trained_is_let_be(
    config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = run(config, tmp_path / "runs/2026-01-01/a")
    ready, worker = multiprocessing.Event(), multiprocessing.Value("i")

    def train() -> None:
        with occupied(folder):
            if forked := os.fork():  # as a loader's worker, which outlives a training that is killed
                worker.value = forked
                ready.set()
            time.sleep(60)

    other = multiprocessing.get_context("fork").Process(target=train)
    other.start()
    assert ready.wait(60)
    assert place(config) is None
    with pytest.raises(ConfigError, match="another process is training"):
        place(changed(config, resume=str(folder)))
    other.kill()  # what holds the folder ends with it, though the file stays
    other.join()
    assert (folder / LOCK).exists()
    assert place(config)
    os.kill(worker.value, signal.SIGKILL)
    with occupied(folder):
        pass
    assert not (folder / LOCK).exists()


@pytest.mark.parametrize(
    ("settings", "goes_on"),
    [
        ({}, False),
        ({"epochs": 8}, True),
        ({"epochs": 3}, False),
        ({"epochs": None, "budget": "2min"}, True),
        ({"epochs": None, "budget": "80s"}, False),
        ({"trainer__devices": 2}, False),
    ],
)
def test_a_finished_run_goes_on_when_it_is_to_be_longer(
    config: DictConfig, tmp_path: Path, settings: dict[str, Any], goes_on: bool
) -> None:
    """It trained for 4 epochs and 90 s."""
    folder = run(config, tmp_path / "run", epochs=4)
    found = place(changed(config, run_dir=str(folder), **settings))
    assert found
    assert (found.finished is None) is goes_on
    if not goes_on:
        assert "is finished: 4 epochs, 90 s" in resume.told(found)
        assert "epochs=8" in resume.told(found)


def test_a_run_that_stopped_early_is_finished(config: DictConfig, tmp_path: Path) -> None:
    folder = run(config, tmp_path / "run", epochs=2)
    found = place(changed(config, run_dir=str(folder)))
    assert found
    assert found.finished


def test_what_differs_is_said_key_by_key(config: DictConfig, tmp_path: Path) -> None:
    folder = run(config, tmp_path / "run")
    other = changed(config, resume=str(folder), optimizer__lr=0.5, head__new=1, save_every=None, epochs=9)
    with pytest.raises(ConfigError) as refused:
        place(other)
    first, *lines = str(refused.value).splitlines()
    assert "python -m visionkit.train first" in first
    assert lines == [
        "head.new is 1, in the run not there",
        f"optimizer.lr is 0.5, in the run {config.optimizer.lr}",
    ]


def test_only_what_changes_no_figure_is_free(config: DictConfig) -> None:
    free = {"data__workers": 3, "logger": {}, "run_dir": "x", "provenance": {"command": "x"}, "trainer__devices": 7}
    assert not differences(changed(config, **free), config)
    for key in ("data__batch_size", "seed", "trainer__precision", "trainer__accelerator", "name"):
        assert len(differences(changed(config, **{key: "x"}), config)) == 1


def test_going_on_keeps_the_first_command_and_the_folder(
    config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that cannot go on leaves all as it was, and a finished one is no longer taken for that."""
    folder = run(config, tmp_path / "run", epochs=4)

    def refuse(_: Path) -> None:
        raise ConfigError("planted")

    monkeypatch.setattr("visionkit.engine.worker.work", refuse)
    monkeypatch.setattr("sys.argv", ["train.py", "epochs=8"])
    for number in (1, 2):
        with pytest.raises(ConfigError, match="planted"):
            launch.launch(changed(config, run_dir=str(folder), epochs=8), {"task": "classification"})
        found = plain(thaw(folder))
        assert found["provenance"]["command"] == "python -m visionkit.train first"
        assert [r["command"] for r in found["provenance"]["resumed"]] == ["python -m visionkit.train epochs=8"] * number
        assert (found["epochs"], found["resume"]) == (8, "auto")
    assert not (folder / "result.json").exists()
    assert checkpoint_of(folder)
    bare = tmp_path / "bare"  # of a run that was ended before it had written anything
    bare.mkdir()
    freeze(config, bare)
    with pytest.raises(ConfigError, match="planted"):
        launch.launch(changed(config, run_dir=str(bare)), {"task": "classification"})
    assert (bare / "config.yaml").exists()


def test_a_finished_run_gives_its_figure(
    config: DictConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(config, tmp_path / "run", epochs=4)
    assert launch.launch(changed(config, run_dir=str(folder)), {"task": "classification"}) == 0.5
    assert "is finished" in capsys.readouterr().out
    assert (folder / "result.json").exists()
