from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from visionkit.data.pictures.files import decode_image
from visionkit.data.pictures.jpeg import open_jpeg
from visionkit.types import Image


def scene(height: int, width: int) -> Image:
    """Smooth colours that are different in every corner."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = np.stack([y, x, y * x + 0.2 * np.sin(9 * x)], axis=2)
    return (waves.clip(0) / 1.2 * 250).astype(np.uint8)


def exif(value: int, order: str = "<", before: int = 0) -> bytes:
    """An APP1 segment whose first directory holds the orientation behind `before` other entries."""
    other = struct.pack(f"{order}HHIHH", 0x0100, 3, 1, 7, 0) * before
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, value, 0)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, before + 1)
    body = b"Exif\0\0" + head + other + entry + struct.pack(f"{order}I", 0)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def stored(path: Path, encoded: bytes, segment: bytes = b"") -> Path:
    path.write_bytes(encoded[:2] + segment + encoded[2:])
    return path


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("shape", [(64, 96), (37, 53), (1, 1), (9, 200)])
def test_full_size_is_what_opencv_decodes(tmp_path: Path, shape: tuple[int, int], subsampling: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for image in (scene(*shape), noise):
        path = stored(tmp_path / "a.jpg", simplejpeg.encode_jpeg(image, 80, colorsubsampling=subsampling))
        jpeg = open_jpeg(path)
        assert jpeg is not None
        assert jpeg.size == shape
        assert np.array_equal(jpeg.decode(), decode_image(path))  # type: ignore[arg-type]


def test_progressive_files_are_what_opencv_decodes(tmp_path: Path) -> None:
    encoded = cv2.imencode(".jpg", scene(65, 83), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    jpeg = open_jpeg(stored(tmp_path / "a.jpg", encoded))
    assert jpeg is not None
    assert np.array_equal(jpeg.decode(), decode_image(tmp_path / "a.jpg"))  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("shape", [(64, 96), (67, 89), (8, 8)])
def test_a_fraction_is_the_mean_of_its_pixels(tmp_path: Path, shape: tuple[int, int], factor: int) -> None:
    path = stored(tmp_path / "a.jpg", simplejpeg.encode_jpeg(scene(*shape), 95, colorsubsampling="444"))
    jpeg = open_jpeg(path)
    assert jpeg is not None
    small = jpeg.decode(factor)
    assert small is not None
    assert small.shape[:2] == tuple(-(-side // factor) for side in shape)
    full = decode_image(path).astype(float)
    height, width = (side // factor for side in shape)
    cells = full[: height * factor, : width * factor].reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    assert np.abs(small[:height, :width] - cells).mean() < 1.5


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("factor", [1, 2])
def test_orientation_is_honoured_as_opencv_does(tmp_path: Path, orientation: int, order: str, factor: int) -> None:
    """0 and 9 are no orientations."""
    encoded = simplejpeg.encode_jpeg(scene(32, 48), 95, colorsubsampling="444")
    path = stored(tmp_path / "a.jpg", encoded, exif(orientation, order, before=2))
    jpeg = open_jpeg(path)
    expected = decode_image(path)
    assert jpeg is not None
    assert jpeg.size == expected.shape[:2]
    image = jpeg.decode(factor)
    assert image is not None
    if factor == 1:
        assert np.array_equal(image, expected)
    else:
        small = cv2.resize(expected, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        assert image.shape == small.shape
        assert np.abs(image.astype(float) - small).mean() < 1.5
    assert jpeg.divisible(16)


def test_turned_pictures_of_odd_sides_have_another_grid(tmp_path: Path) -> None:
    encoded = simplejpeg.encode_jpeg(scene(30, 45), 95)
    upright, turned = (open_jpeg(stored(tmp_path / f"{o}.jpg", encoded, exif(o) if o > 1 else b"")) for o in (1, 6))
    assert upright is not None
    assert turned is not None
    assert [upright.divisible(factor) for factor in (1, 2, 4)] == [True, True, True]
    assert [turned.divisible(factor) for factor in (1, 2, 4)] == [True, False, False]


def test_what_is_left_to_opencv(tmp_path: Path) -> None:
    grey = cv2.imencode(".jpg", scene(16, 16)[..., 0])[1].tobytes()
    png = cv2.imencode(".png", scene(16, 16))[1].tobytes()
    colour = simplejpeg.encode_jpeg(scene(64, 64), 90)
    for name, encoded in {
        "grey": grey,
        "png": png,
        "empty": b"",
        "header": colour[:40],
        "text": b"\xff\xd8abc",
    }.items():
        (tmp_path / name).write_bytes(encoded)
        assert open_jpeg(tmp_path / name) is None, name
    assert open_jpeg(tmp_path / "missing") is None
    cut = open_jpeg(stored(tmp_path / "cut.jpg", colour[: len(colour) // 2]))
    assert cut is not None
    assert cut.decode() is None
    broken_exif = stored(tmp_path / "exif.jpg", colour, exif(6)[:20])
    assert open_jpeg(broken_exif) is None or open_jpeg(broken_exif).orientation == 1  # type: ignore[union-attr]


def test_cmyk_is_left_to_opencv(tmp_path: Path) -> None:
    from PIL import Image as PillowImage

    PillowImage.fromarray(scene(16, 16)).convert("CMYK").save(tmp_path / "a.jpg")
    assert open_jpeg(tmp_path / "a.jpg") is None
    assert decode_image(tmp_path / "a.jpg").shape == (16, 16, 3)
