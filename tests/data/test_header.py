from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from visionkit.data.pictures.files import decode_image
from visionkit.data.pictures.header import upright_size
from visionkit.errors import DataError


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 5, 6, 7, 8])
def test_the_size_is_that_of_the_decoded_image(tmp_path: Path, suffix: str, orientation: int | None) -> None:
    picture = PillowImage.fromarray(np.zeros((6, 10, 3), dtype=np.uint8))
    exif = picture.getexif()
    if orientation:
        exif[0x0112] = orientation
    picture.save(tmp_path / f"a.{suffix}", exif=exif)
    expected = (10, 6) if (orientation or 1) >= 5 else (6, 10)
    assert upright_size(tmp_path / f"a.{suffix}") == expected
    assert decode_image(tmp_path / f"a.{suffix}").shape[:2] == expected


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("no picture")
    for name in ("empty.jpg", "text.png", "missing.jpg"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as an image"):
            upright_size(tmp_path / name)


def test_a_gigantic_picture_is_refused_unseen(tmp_path: Path) -> None:
    PillowImage.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(DataError, match=r"huge\.png: cannot be read as an image .*400000000 pixels"):
        upright_size(tmp_path / "huge.png")
