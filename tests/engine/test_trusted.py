"""A checkpoint with a class of one's own: it opens for who trusts the package, and the closing lines say how."""

from __future__ import annotations

from pathlib import Path

import pytest

import visionkit
from tests.trainings import OWN_BACKBONE, frozen
from visionkit.engine.checkpoint import CheckpointError, foreign_packages
from visionkit.engine.fit import fit


def test_packages_of_ones_own_are_found_wherever_they_are_named() -> None:
    node = {"a": {"_target_": "mine.Net", "b": [{"_target_": "also.Loss"}]}, "c": {"_target_": "visionkit.x.Y"}}
    assert foreign_packages(node) == ["also", "mine"]


def test_the_closing_lines_trust_the_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = frozen(tmp_path / "run", *OWN_BACKBONE)
    fit(run_dir)
    said = capsys.readouterr().out.split("next:")[1]
    assert said.count("'trusted=[tests]'") == 2
    assert "trusted=['tests']".replace("'", "'\"'\"'") in said
    best = run_dir / "checkpoints" / "best.ckpt"
    with pytest.raises(CheckpointError, match=r"trusted=\[tests\]"):
        visionkit.load(best)
    assert visionkit.load(best, trusted=["tests"]).class_names
    fit(frozen(tmp_path / "plain"))
    assert "trusted" not in capsys.readouterr().out
