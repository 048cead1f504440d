"""Formats are told by a file's first bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visionkit.data.formats.listing import IMAGE_SUFFIXES
from visionkit.data.pictures.signature import SUFFIXES, belongs, signature, suspicion

FORMATS = ["jpg", "png", "gif", "bmp", "tiff", "ppm", "webp"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_pillow_writes_is_known_and_belongs_to_its_suffix(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(path)
    form = signature(path.read_bytes()[:12])
    assert form is not None
    assert belongs(path, form)
    assert belongs(path.with_suffix(path.suffix.upper()), form)
    assert belongs(Path("a.mask"), form)
    other = next(one for one in FORMATS if f".{one}" not in SUFFIXES[form])
    assert not belongs(path.with_suffix(f".{other}"), form)
    assert suspicion(path) == ""


def test_every_suffix_that_is_listed_has_a_format() -> None:
    raw = {".npy"}  # raw numbers, which are no picture format
    assert set().union(*SUFFIXES.values(), raw) >= IMAGE_SUFFIXES


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("RIFF of a kind")
    assert suspicion(tmp_path / "empty.jpg") == "empty"
    assert suspicion(tmp_path / "text.jpg") == "unreadable"
    assert suspicion(tmp_path / "none.jpg") == "missing"
    assert signature(b"") is None
