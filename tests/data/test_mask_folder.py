from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.sample import read_sample
from visionkit.errors import ConfigError, DataError

Write = Callable[..., Path]


def mask(*values: int) -> np.ndarray:
    return np.resize(np.asarray(values, dtype=np.uint8), (8, 10))


@pytest.mark.parametrize("layout", ["{kind}/{split}", "{split}/{kind}"])
def test_both_layouts_are_read(tmp_path: Path, write: Write, layout: str) -> None:
    for split in ("train", "val"):
        for stem in ("b", "a"):
            write(f"{layout.format(kind='images', split=split)}/{stem}.jpg")
            write(f"{layout.format(kind='masks', split=split)}/{stem}.png", mask(0, ord(stem) - 96))
    reader = MaskFolder(str(tmp_path))
    assert reader.splits() == ("train", "val")
    val = reader.read("val")
    assert val.classes.mask == ("0", "1", "2")
    assert [Path(name).name for name in val.names] == ["a.jpg", "b.jpg"]
    assert val.masks is not None
    assert [int(val.masks[index].max()) for index in range(2)] == [1, 2]


def test_class_names_are_given_listed_or_found(tmp_path: Path, write: Write) -> None:
    write("images/train/a.png")
    write("masks/train/a.png", mask(0, 3, 9, 255))
    root = str(tmp_path)
    assert MaskFolder(root, ignore=9).read("train").classes.mask == ("0", "1", "2", "3")
    assert MaskFolder(root).read("train").classes.mask == tuple(str(value) for value in range(10))
    (tmp_path / "classes.txt").write_text("sky\nroad\n\ncar\ntree\n")
    assert MaskFolder(root).read("train").classes.mask == ("sky", "road", "car", "tree")
    assert MaskFolder(root, class_names=["x", "y"]).read("train").classes.mask == ("x", "y")


def test_pairs_must_match(tmp_path: Path, write: Write) -> None:
    root = str(tmp_path)
    write("images/train/a.png")
    with pytest.raises(DataError, match=r"masks/train: does not exist"):
        MaskFolder(root).read("train")
    write("masks/train/b.png", mask(0))
    with pytest.raises(DataError, match=r"images/train/a\.png: has no mask a\.png"):
        MaskFolder(root).read("train")
    write("masks/train/a.png", mask(0))
    with pytest.raises(DataError, match=r"masks/train/b\.png: has no image"):
        MaskFolder(root).read("train")
    write("images/train/a.jpg")
    with pytest.raises(DataError, match="suffix only"):
        MaskFolder(root).read("train")


def test_mask_of_another_size_is_named(tmp_path: Path, write: Write) -> None:
    write("images/train/a.png")
    write("masks/train/a.png", mask(0)[:, :9])
    with pytest.raises(DataError, match=r"masks/train/a\.png: is 8 x 9 pixels .* images/train/a\.png is 8 x 10"):
        read_sample(MaskFolder(str(tmp_path)).read("train"), 0, ("mask",))


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: does not exist; .*masks/<split>"):
        MaskFolder(str(tmp_path / "nowhere")).splits()
    with pytest.raises(DataError, match="holds no images/train"):
        MaskFolder(str(tmp_path)).splits()
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "masks/train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"images/train: holds no images"):
        MaskFolder(str(tmp_path)).read("train")
    with pytest.raises(ConfigError, match=r"data\.ignore=256"):
        MaskFolder(str(tmp_path), ignore=[256])
