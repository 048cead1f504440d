"""Runs get folders of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from visionkit.config.folders import make_run_dir
from visionkit.errors import ConfigError


def test_runs_of_the_same_second_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [make_run_dir(None, "segmentation") for _ in range(4)]
    assert len(set(folders)) == 4
    for folder in folders:
        assert folder.is_dir()
        assert re.fullmatch(r"runs/[\d-]{10}/[\d-]{8}_segmentation(_\d+)?", str(folder.relative_to(tmp_path)))


def test_a_folder_with_a_run_is_left_alone(tmp_path: Path) -> None:
    chosen = tmp_path / "mine"
    assert make_run_dir(str(chosen), "detection") == chosen
    (chosen / "config.yaml").write_text("{}")
    with pytest.raises(ConfigError, match="already holds a run"):
        make_run_dir(str(chosen), "detection")


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="taken"):
        make_run_dir(str(tmp_path / "taken"), "detection")
    with pytest.raises(ConfigError, match="taken"):
        make_run_dir(str(tmp_path / "taken" / "below"), "detection")
