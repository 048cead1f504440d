from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.reader import UNSPLIT
from visionkit.data.selection.selection import Selection
from visionkit.errors import DataError

Write = Callable[..., Path]


def test_split_folders_are_read(tmp_path: Path, write: Write) -> None:
    for name in ("train/cat/b.png", "train/cat/a.JPG", "train/ant/c.png", "val/cat/d.png", "val/ant/x.txt.png"):
        write(name)
    (tmp_path / "README.md").touch()
    (tmp_path / "train/cat/notes.txt").touch()
    reader = ImageFolder(str(tmp_path))
    assert reader.splits() == ("train", "val")
    train = reader.read("train")
    assert train.classes.labels == ("ant", "cat")
    assert list(train.names) == ["train/ant/c.png", "train/cat/a.JPG", "train/cat/b.png"]
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 1]
    assert train.images[2].shape == (8, 10, 3)
    assert list(reader.read("val").names) == ["val/ant/x.txt.png", "val/cat/d.png"]


def test_without_splits_every_class_is_cut(tmp_path: Path, write: Write) -> None:
    for index in range(10):
        write(f"ant/{index}.png")
    for index in range(3):
        write(f"bee/{index}.png")
    reader = ImageFolder(str(tmp_path))
    assert reader.splits() == UNSPLIT
    parts = Selection(reader)
    assert list(parts) == ["train", "val"]
    train, val = parts["train"], parts["val"]
    assert train.labels is not None
    assert val.labels is not None
    assert train.labels.tolist() == [0] * 8 + [1] * 2
    assert val.labels.tolist() == [0] * 2 + [1]
    assert not set(train.names) & set(val.names)
    assert len({*train.names, *val.names}) == 13


def test_what_is_missing_is_named(tmp_path: Path, write: Write) -> None:
    with pytest.raises(DataError, match=r"nowhere: does not exist; set data.root .* train/<class>"):
        ImageFolder(str(tmp_path / "nowhere")).splits()
    with pytest.raises(DataError, match="holds no folders"):
        ImageFolder(str(tmp_path)).splits()
    write("val/cat/a.png")
    with pytest.raises(DataError, match="no train"):
        ImageFolder(str(tmp_path)).splits()
    write("train/cat/a.png")
    with pytest.raises(DataError, match="no split 'test'; it has train, val"):
        ImageFolder(str(tmp_path)).read("test")
    write("val/dog/a.png")
    with pytest.raises(DataError, match=r"val/dog: is no class of train; these are cat"):
        ImageFolder(str(tmp_path)).read("val")
    (tmp_path / "train/dog").mkdir()
    with pytest.raises(DataError, match=r"train/dog: holds no images"):
        ImageFolder(str(tmp_path)).read("train")


def test_constructor_does_no_io() -> None:
    ImageFolder("/nowhere")
