"""A resumed training goes on with its W&B run."""

from __future__ import annotations

from pathlib import Path

import pytest

from visionkit.engine.wandb_logger import WandbLogger


def test_a_folder_keeps_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for folder in ("a", "a", "b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        ids.append(WandbLogger(mode="offline", save_dir=tmp_path / folder).version)
    assert ids[0]
    assert ids[0] == ids[1] != ids[2]
    monkeypatch.setenv("RANK", "1")
    (tmp_path / "c").mkdir()
    assert WandbLogger(mode="offline", save_dir=tmp_path / "c").version is None
    assert not list((tmp_path / "c").iterdir())
