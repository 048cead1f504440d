from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from visionkit.data.pictures.files import decode_image, decode_index
from visionkit.data.pictures.raw import read_raw
from visionkit.data.pictures.size_limit import MAX_PIXELS, check_size
from visionkit.data.pictures.window import Window
from visionkit.errors import DataError

RAW = np.random.default_rng(0).integers(0, 60000, (6, 7, 5))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32"])
@pytest.mark.parametrize("kind", ["contiguous", "planar", "pages", "imagej", "deflate"])
def test_tiff_of_five_channels(tmp_path: Path, dtype: str, kind: str) -> None:
    raw = (RAW % 120).astype(dtype)
    path = tmp_path / "a.TIFF"
    planes = np.moveaxis(raw, 2, 0)
    if kind in ("contiguous", "deflate"):
        packed = "zlib" if kind == "deflate" else None
        tifffile.imwrite(path, raw, photometric="minisblack", planarconfig="contig", compression=packed)
    elif kind == "planar":
        tifffile.imwrite(path, planes, photometric="minisblack", planarconfig="separate")
    elif kind == "pages":
        tifffile.imwrite(path, planes, photometric="minisblack")
    elif dtype in ("uint8", "uint16", "float32"):  # what ImageJ knows
        tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "CYX"})
    else:
        return
    read = read_raw(path)
    assert read.dtype == dtype
    assert np.array_equal(read, raw)


def test_grey_tiff_and_compressions_that_opencv_knows(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "grey.tif", RAW[..., 0].astype(np.float32))
    assert np.array_equal(read_raw(tmp_path / "grey.tif"), RAW[..., :1])
    for count in (1, 3, 4):
        deep = RAW[..., :count].astype(np.uint16)
        stored = deep[..., [2, 1, 0, 3][:count] if count > 1 else [0]]
        lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
        assert cv2.imwrite(str(tmp_path / f"lzw{count}.tif"), stored, lzw)
        assert np.array_equal(read_raw(tmp_path / f"lzw{count}.tif"), deep)


def test_a_stack_of_colour_pictures_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((4, 6, 7, 3), dtype=np.uint8), photometric="rgb")
    with pytest.raises(DataError, match=r"stack\.tif: holds a stack of the shape \(4, 6, 7, 3\)"):
        read_raw(tmp_path / "stack.tif")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_of_16_bits_comes_as_it_is(tmp_path: Path, channels: int) -> None:
    deep = RAW[..., :channels].astype(np.uint16)
    stored = deep[..., [2, 1, 0, 3][:channels]] if channels > 1 else deep[..., 0]
    assert cv2.imwrite(str(tmp_path / "deep.png"), stored)
    assert np.array_equal(read_raw(tmp_path / "deep.png"), deep)


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 1), (6, 7, 5)])
def test_arrays(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(read_raw(tmp_path / "a.npy"), array.reshape(6, 7, -1))


def test_files_that_hold_no_picture_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "none.npy", np.zeros((0, 4)))
    np.save(tmp_path / "bits.npy", np.zeros((3, 4), dtype=bool))
    np.save(tmp_path / "objects.npy", np.asarray([[None]]), allow_pickle=True)
    (tmp_path / "text.npy").write_text("nothing")
    (tmp_path / "text.tif").write_text("nothing")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "empty.npy").touch()
    whole = (tmp_path / "flat.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-8])
    tifffile.imwrite(tmp_path / "cut.tif", RAW, photometric="minisblack", planarconfig="contig", compression="zlib")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:-200])
    tifffile.imwrite(tmp_path / "short.tif", RAW, photometric="minisblack", planarconfig="contig")
    (tmp_path / "short.tif").write_bytes((tmp_path / "short.tif").read_bytes()[:-200])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 11
    for name in [*names, "missing.tif", "missing.npy", "missing.png"]:
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read_raw(tmp_path / name)


def test_what_needs_a_window_says_so_when_there_is_none(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "five.tif", RAW.astype(np.uint16), photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"five\.tif: has 5 channels .*data\.channels=\[0, 1, 2, 3, 4\] backbone"):
        decode_image(tmp_path / "five.tif")
    tifffile.imwrite(tmp_path / "real.tif", RAW[..., 0].astype(np.float32))
    with pytest.raises(DataError, match=r"real\.tif: .* float32; .*data\.window"):
        decode_image(tmp_path / "real.tif")
    np.save(tmp_path / "rgb.npy", RAW[..., :3].astype(np.uint8))
    assert np.array_equal(decode_image(tmp_path / "rgb.npy"), RAW[..., :3].astype(np.uint8))
    assert decode_image(tmp_path / "five.tif", Window([0, 60000], [4, 0])).shape == (6, 7, 2)


def test_masks_may_be_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.asarray([[0, 2], [1, 300]]))
    assert decode_index(tmp_path / "mask.npy").tolist() == [[0, 2], [1, 300]]
    for name, wrong in (("real", np.zeros((2, 2))), ("colour", np.zeros((2, 2, 3), dtype=np.uint8))):
        np.save(tmp_path / f"{name}.npy", wrong)
        with pytest.raises(DataError, match=rf"{name}\.npy: .* one class number a pixel"):
            decode_index(tmp_path / f"{name}.npy")


def png_header(path: Path, height: int, width: int) -> None:
    """Write a PNG of which the header only is there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    png_header(tmp_path / "huge.png", 20_000, 20_000)
    tifffile.memmap(tmp_path / "huge.tif", shape=(20_000, 20_000, 3), dtype="uint8", photometric="rgb")  # a hole
    np.lib.format.open_memmap(tmp_path / "huge.npy", "w+", np.uint8, (20_000, 20_000, 3))
    for name in ("huge.png", "huge.tif", "huge.npy"):
        for read in (decode_image, read_raw):
            with pytest.raises(DataError, match=rf"{name}: is .*(20000 x 20000|400000000)"):
                read(tmp_path / name)
    for name in ("huge.png", "huge.tif", "huge.npy"):
        with pytest.raises(DataError, match=name):
            decode_index(tmp_path / name)


def test_the_limit_is_pillows_and_shared_by_many_channels(tmp_path: Path) -> None:
    assert PillowImage.MAX_IMAGE_PIXELS is not None
    assert MAX_PIXELS == 2 * PillowImage.MAX_IMAGE_PIXELS
    check_size(tmp_path, 1, MAX_PIXELS)
    with pytest.raises(DataError, match="1 x 178956971 pixels"):
        check_size(tmp_path, 1, MAX_PIXELS + 1)
    check_size(tmp_path, 1, MAX_PIXELS // 2, 8)
    with pytest.raises(DataError):
        check_size(tmp_path, 1, MAX_PIXELS // 2 + 1, 8)
