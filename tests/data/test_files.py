from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from visionkit.data.pictures.files import ImageFiles, MaskFiles, decode_image, decode_index
from visionkit.errors import DataError

Write = Callable[..., Path]


def paint(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_png_comes_back_as_rgb(write: Write) -> None:
    image = paint(5, 7)
    assert np.array_equal(decode_image(write("a.png", image)), image)


def test_grey_alpha_and_16_bits_become_rgb(write: Write) -> None:
    grey = paint(5, 7)[..., 0]
    assert np.array_equal(decode_image(write("grey.png", grey)), np.repeat(grey[..., None], 3, axis=2))
    alpha = np.dstack([paint(5, 7), np.full((5, 7), 9, dtype=np.uint8)])
    assert np.array_equal(decode_image(write("alpha.png", alpha)), alpha[..., :3])
    deep = paint(5, 7).astype(np.uint16) * 257
    assert np.array_equal(decode_image(write("deep.png", deep)), paint(5, 7))
    deep_grey = grey.astype(np.uint16) * 257
    assert np.array_equal(decode_image(write("deep_grey.png", deep_grey))[..., 1], grey)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    image = np.zeros((16, 32, 3), dtype=np.uint8)
    image[:8, :16] = 255  # bright top left
    picture = PillowImage.fromarray(image)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = {1: image, 3: image[::-1, ::-1], 6: np.rot90(image, -1), 8: np.rot90(image, 1)}[orientation]
    decoded = decode_image(tmp_path / "turned.jpg")
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).mean() < 5


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("empty.jpg", "text.jpg", "missing.jpg"):
        with pytest.raises(DataError, match=name):
            ImageFiles(tmp_path, [name])[0]


def test_palette_mask_keeps_its_numbers(tmp_path: Path) -> None:
    values = np.asarray([[0, 1], [2, 1]], dtype=np.uint8)
    picture = PillowImage.fromarray(values, mode="P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 9, 9, 9])
    picture.save(tmp_path / "palette.png")
    assert np.array_equal(MaskFiles(tmp_path, ["palette.png"], 3)[0], values)


def test_16_bit_and_1_bit_masks_are_read(tmp_path: Path, write: Write) -> None:
    values = np.asarray([[0, 300], [2, 1]], dtype=np.uint16)
    assert np.array_equal(decode_index(write("deep.png", values)), values)
    bits = np.asarray([[0, 1], [1, 0]], dtype=bool)
    PillowImage.fromarray(bits).save(tmp_path / "bits.png")
    assert np.array_equal(MaskFiles(tmp_path, ["bits.png"], 2)[0], bits)
    with pytest.raises(DataError, match="300"):
        MaskFiles(tmp_path, ["deep.png"], 3)[0]


def test_void_becomes_255(tmp_path: Path, write: Write) -> None:
    write("m.png", np.asarray([[0, 11], [255, 2]], dtype=np.uint8))
    assert MaskFiles(tmp_path, ["m.png"], 11, ignore=[11])[0].tolist() == [[0, 255], [255, 2]]


def test_void_inside_the_classes_is_void(tmp_path: Path, write: Write) -> None:
    write("m.png", np.asarray([[0, 1]], dtype=np.uint8))
    assert MaskFiles(tmp_path, ["m.png"], 2, ignore=[0])[0].tolist() == [[255, 1]]


def test_value_outside_the_classes_is_named(tmp_path: Path, write: Write) -> None:
    write("m.png", np.asarray([[0, 3], [11, 2]], dtype=np.uint8))
    with pytest.raises(DataError, match=r"m\.png: holds the values 3, 11; allowed are 0 to 2 \(the classes\) and 255"):
        MaskFiles(tmp_path, ["m.png"], 3)[0]


def test_colour_mask_is_refused(tmp_path: Path, write: Write) -> None:
    write("m.png", paint(3, 3))
    with pytest.raises(DataError, match="RGB"):
        MaskFiles(tmp_path, ["m.png"], 3)[0]


def test_unreadable_mask_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(cv2.imencode(".png", paint(9, 9)[..., 0])[1].tobytes()[:50])
    with pytest.raises(DataError, match=r"broken\.png"):
        MaskFiles(tmp_path, ["broken.png"], 3)[0]
