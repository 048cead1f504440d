"""A training looks at its data before it begins, and goes on without what cannot be used when asked to."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from tests.engine.doctor_data import save, scene
from visionkit import evaluate, train
from visionkit.engine import build
from visionkit.engine.doctor import quick
from visionkit.types import LABEL_KINDS

SHORT = ("data=image_folder", "data.size=32", "data.batch_size=4", "data.workers=0", "epochs=1", "trainer=cpu")


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Two classes, eight training and four validation pictures."""
    root = tmp_path / "my birds"
    for number in range(12):
        split, kind = ("val" if number >= 8 else "train"), ("crow", "wren")[number % 2]
        save(root / split / kind / f"{number}.jpg", scene(number, 40, 50))
    return root


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is logged reach caplog, whatever command ran before."""
    monkeypatch.setattr(logging.getLogger("visionkit"), "propagate", True)


def said(root: Path, caplog: pytest.LogCaptureFixture, kinds: tuple[str, ...] = LABEL_KINDS) -> list[str]:
    data = {
        "reader": {"_target_": "visionkit.data.formats.image_folder.ImageFolder", "root": str(root)},
        "root": str(root),
    }
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        quick.tell(build.build_records(data, (), None), data, kinds)
    return [record.getMessage() for record in caplog.records]


def test_nothing_is_said_where_nothing_is_wrong(birds: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert said(birds, caplog) == []


def test_classes_are_counted_of_what_is_learned(birds: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (birds / "val/crow").iterdir():
        path.unlink()
    assert said(birds, caplog, ("labels", "mask"))[0] == "data: no image of val has the class crow"
    assert said(birds, caplog, ("boxes", "mask")) == []


def test_what_needs_no_decoding_is_said(birds: Path, caplog: pytest.LogCaptureFixture) -> None:
    (birds / "train/crow/0.jpg").write_bytes(b"")
    (birds / "val/wren/9.jpg").write_bytes((birds / "train/wren/3.jpg").read_bytes())
    for path in (birds / "val/crow").iterdir():
        path.unlink()
    lines = said(birds, caplog)
    assert lines[0].startswith(f"data: 1 x file that cannot be used: {birds / 'train/crow/0.jpg'}: ")
    assert lines[1] == "data: no image of val has the class crow"
    assert lines[2] == f"data: 1 x same file in two splits: {birds / 'train/wren/3.jpg'} = {birds / 'val/wren/9.jpg'}"
    assert lines[3] == f"data: more is told by python -m visionkit.doctor data=image_folder data.root='{birds}'"
    assert len(lines) == 4


def test_it_ends_in_time(birds: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    (birds / "val/wren/9.jpg").write_bytes((birds / "train/wren/3.jpg").read_bytes())
    monkeypatch.setattr(quick, "SECONDS", -1.0)
    assert said(birds, caplog) == []


def ended(command: object, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [command.__name__.rpartition(".")[2], *arguments])  # type: ignore[attr-defined]
    try:
        command.cli()  # type: ignore[attr-defined]
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_training_goes_on_without_what_cannot_be_used(
    birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    empty, cut, late = birds / "train/crow/0.jpg", birds / "train/wren/1.jpg", birds / "val/crow/8.jpg"
    empty.write_bytes(b"")
    for path in (cut, late):
        path.write_bytes(path.read_bytes()[:200])
    assert ended(train, monkeypatch, *SHORT, f"data.root={birds}", "run_dir=raised") == 2
    shown = capsys.readouterr()
    assert "cannot be used" in shown.out
    assert "visionkit.doctor data=image_folder" in shown.out
    assert ".jpg" in shown.err
    assert not (tmp_path / "raised" / "skipped.json").exists()

    assert ended(train, monkeypatch, *SHORT, f"data.root={birds}", "run_dir=run", "data.on_error=skip") == 0
    shown = capsys.readouterr()
    assert "images: train 7  val 4" in shown.out
    for path in (empty, cut, late):
        assert f"skipped: {path}: " in shown.out
    assert "3 x what cannot be used, listed in run/skipped.json" in shown.out
    listed = json.loads((tmp_path / "run/skipped.json").read_text())
    assert {entry["file"] for entry in listed} == {str(empty), str(cut), str(late)}
    assert all(entry["reason"] for entry in listed)
    assert not (tmp_path / "run/skipped.jsonl").exists()

    given = ("checkpoint=run/checkpoints/best.ckpt", "out=seen")
    assert ended(evaluate, monkeypatch, *given) == 0
    found = json.loads((tmp_path / "seen/skipped.json").read_text())
    assert str(late) in {entry["file"] for entry in found}
    measured = json.loads((tmp_path / "seen/result.json").read_text())["metrics"]
    trained = json.loads((tmp_path / "run/result.json").read_text())["metrics"]
    assert measured["val/accuracy"] == pytest.approx(trained["val/accuracy"], abs=1e-4)
    assert ended(evaluate, monkeypatch, *given[:1], "out=strict", "data.on_error=raise") == 2
