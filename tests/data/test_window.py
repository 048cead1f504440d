from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visionkit.data.pictures.files import ImageFiles
from visionkit.data.pictures.window import Window, _tell_of_16_bits, through
from visionkit.data.pixels import View, in_memory
from visionkit.data.reader import UNSPLIT, Reader
from visionkit.data.records import Records
from visionkit.data.selection.selection import Selection
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import Classes


def column(*values: float, dtype: str = "uint16") -> NDArray[np.generic]:
    return np.asarray(values, dtype=dtype).reshape(-1, 1, 1)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "float32", "float64"])
def test_values_below_at_between_and_above(dtype: str) -> None:
    raw = column(0, 99, 100, 101, 151, 200, 353, 355, 356, 9000, dtype=dtype)
    shown = Window([100, 355], [0]).apply(raw, "x")
    assert shown.dtype == np.uint8
    assert shown.shape == (10, 1, 1)
    assert shown.ravel().tolist() == [0, 0, 0, 1, 51, 100, 253, 255, 255, 255]


def test_a_value_goes_to_the_nearest_of_the_256() -> None:
    raw = column(0, 1, 2, 3, 4, 510)  # half a step each
    assert Window([0, 510], [0]).apply(raw, "x").ravel().tolist() == [0, 1, 1, 2, 2, 255]
    assert Window([0, 1020], [0]).apply(column(1, 2, 3, 5), "x").ravel().tolist() == [0, 1, 1, 1]


def test_negative_bounds_and_values_that_are_no_numbers() -> None:
    raw = column(-np.inf, -2000, -1000, 0, 1000, np.inf, np.nan, dtype="float32")
    assert Window([-1000, 1000], [0]).apply(raw, "x").ravel().tolist() == [0, 0, 0, 128, 255, 255, 0]
    assert Window([-1000, 1000], [0]).apply(column(-1500, -1000, 1000, dtype="int16"), "x").ravel().tolist() == [
        0, 0, 255,
    ]  # fmt: skip


def test_large_whole_numbers_keep_their_differences() -> None:
    raw = column(4294967040, 4294967041, 4294967294, 4294967295, dtype="uint32")
    assert Window([4294967040, 4294967295], [0]).apply(raw, "x").ravel().tolist() == [0, 1, 254, 255]


def test_a_pair_a_channel_follows_the_order_of_the_channels() -> None:
    raw = np.asarray([[[10, 100, 1000]]], dtype=np.uint16)
    assert Window([[0, 2000], [0, 20]], [2, 0]).apply(raw, "x").ravel().tolist() == [128, 128]
    assert Window([[0, 20], [0, 2000]], [2, 0]).apply(raw, "x").ravel().tolist() == [255, 1]
    assert Window([0, 255], [1, 0, 1, 1]).apply(raw, "x").ravel().tolist() == [100, 10, 100, 100]


def test_without_channels_an_image_becomes_rgb() -> None:
    grey = np.asarray([[7, 9]], dtype=np.uint8)
    assert Window([0, 255]).apply(grey, "x").tolist() == [[[7, 7, 7], [9, 9, 9]]]
    rgba = np.asarray([[[1, 2, 3, 4]]], dtype=np.uint8)
    assert Window([[0, 255], [0, 510], [3, 4]]).apply(rgba, "x").tolist() == [[[1, 1, 0]]]
    for count in (2, 5):
        with pytest.raises(DataError, match=rf"a\.tif: has {count} channels .*data\.channels=\[0, 1"):
            Window([0, 9]).apply(np.zeros((1, 1, count), dtype=np.uint8), "a.tif")


def test_without_a_window_8_bits_stay_16_lose_half_and_others_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    _tell_of_16_bits.cache_clear()
    assert Window(None, [1]).apply(np.asarray([[[3, 200]]], dtype=np.uint8), "x").tolist() == [[[200]]]
    with caplog.at_level(logging.WARNING):
        for value in (255, 256, 65535):
            assert Window(None, [0]).apply(column(value), "some/a.png").item() == value // 256
    assert len(caplog.records) == 1
    assert "data.window=[low, high]" in caplog.text
    assert caplog.text.count("some: holds images of 16 bits") == 1
    with pytest.raises(DataError, match=r"b\.tif: holds values of the type float32; .*\(they are 0\.5 to 2\.0 here\)"):
        Window(None, [0]).apply(column(0.5, 2, dtype="float32"), "b.tif")


def test_a_channel_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"c\.png: has 3 channels, so none of the index 3 .* from 0 to 2"):
        Window(None, [0, 3]).apply(np.zeros((1, 1, 3), dtype=np.uint8), "c.png")


@pytest.mark.parametrize(
    ("window", "channels", "said"),
    [
        ([5, 5], None, "upside down"),
        ([[0, 1], [9, 2], [0, 1]], None, r"\[9, 2\] is upside down"),
        ([0], None, "no pair"),
        ([0, 1, 2], None, "no pair"),
        ([], None, "no pair"),
        ("wide", None, "no pair"),
        (7, None, "no pair"),
        ([0, float("nan")], None, "no pair"),
        ([False, True], None, "no pair"),
        ([[0, 1], [0, 1]], None, "2 pairs but there are 3 channels"),
        ([[0, 1]], [0, 1], "1 pairs but there are 2 channels"),
        (None, [], "no list of channels"),
        (None, 1, "no list of channels"),
        (None, [0, -1], "no list of channels"),
        (None, "red", "no list of channels"),
    ],
)
def test_impossible_windows_are_refused(window: object, channels: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Window(window, channels)  # type: ignore[arg-type]


class Deep(Reader):
    """Five TIFF files of 16 bits and two channels; without splits."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        for index in range(5):
            raw = np.full((4, 4, 2), 1000 * index, dtype=np.uint16)
            tifffile.imwrite(root / f"{index}.tif", raw, photometric="minisblack", planarconfig="contig")

    def splits(self) -> tuple[str, ...]:
        return UNSPLIT

    def read(self, split: str) -> Records:
        names = Strings(f"{index}.tif" for index in range(5))
        return Records(ImageFiles(self.root, names), names, Classes())


def test_a_selection_looks_through_the_window_behind_its_views(tmp_path: Path) -> None:
    selection = Selection(Deep(tmp_path), window=Window([0, 4000], [1]))
    values = [int(records.images[i].max()) for records in selection.values() for i in range(len(records))]
    assert sorted(values) == [0, 64, 128, 191, 255]
    assert selection["val"].images[0].shape == (4, 4, 1)


def test_pictures_in_memory_are_looked_at_as_well() -> None:
    arrays = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    view = View((arrays,), np.zeros(2, dtype=np.int16), np.asarray([1, 0]))
    seen = through(view, Window([0, 255], [2]))
    assert in_memory(seen)
    assert np.array_equal(seen[0], arrays[1][..., 2:])
    with pytest.raises(DataError, match="image 1: has 3 channels"):
        through(arrays, Window(None, [3]))[1]


def test_jpeg_is_turned_upright_behind_a_window(tmp_path: Path) -> None:
    image = np.zeros((16, 32, 3), dtype=np.uint8)
    image[:8, :16, 0] = 255  # red, top left
    picture = PillowImage.fromarray(image)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95, subsampling=0)
    red, blue = (ImageFiles(tmp_path, ["turned.jpg"], Window(None, [channel]))[0] for channel in (0, 2))
    assert red.shape == (32, 16, 1)
    assert np.abs(red[..., 0].astype(int) - np.rot90(image[..., 0], -1)).mean() < 5
    assert blue.mean() < 5
