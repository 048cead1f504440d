from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.formats.masks.classes import MaskClasses, given_colours, listed_classes
from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.reader import UNSPLIT
from visionkit.data.sample import read_sample
from visionkit.errors import ConfigError, DataError

Write = Callable[..., Path]

ROAD, SKY, BLACK = (128, 64, 128), (70, 130, 180), (0, 0, 0)


@pytest.fixture
def painted(tmp_path: Path, write: Write) -> Path:
    """One image with a painted mask: sky above, road below, one pixel black."""
    mask = np.zeros((8, 10, 3), dtype=np.uint8)
    mask[:5], mask[5:] = SKY, ROAD
    mask[0, 1] = BLACK
    write("images/train/a.png")
    write("masks/train/a.png", mask)
    return tmp_path


EXPECTED = [[0] * 10] * 5 + [[1] * 10] * 3  # but for the pixel that is black


def check(reader: MaskFolder, names: tuple[str, ...], black: int) -> None:
    train = reader.read("train")
    assert train.classes.mask == names
    mask = read_sample(train, 0, ("mask",)).mask
    assert mask is not None
    assert mask.dtype == np.uint8
    assert mask[0, 1] == black
    mask[0, 1] = names.index("sky")
    assert mask.tolist() == [[names.index("sky")] * 10] * 5 + [[names.index("road")] * 10] * 3


@pytest.mark.parametrize(
    ("name", "text", "names", "black"),
    [
        ("class_dict.csv", "name,r,g,b\nsky,70,130,180\nroad,128,64,128\n", ("sky", "road"), 255),
        ("class_dict.csv", "name, r, g, b\nroad, 128, 64, 128\nVoid, 0,0,0\nsky, 70,130,180\n", ("road", "sky"), 255),
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nsky:70,130,180::\nroad:128,64,128::\n",
            ("sky", "road"),
            255,
        ),
        ("labelmap.txt", "background:0,0,0::\nsky:70,130,180::\nroad:128,64,128::\n", ("background", "sky", "road"), 0),
        ("classes.txt", "\ufeffsky: 70, 130, 180\n\nroad: 128,64,128\n", ("sky", "road"), 255),
    ],
)
def test_lists_name_the_colours(painted: Path, name: str, text: str, names: tuple[str, ...], black: int) -> None:
    (painted / name).write_text(text, encoding="utf-8")
    check(MaskFolder(str(painted)), names, black)


def test_settings_name_the_colours(painted: Path) -> None:
    (painted / "classes.txt").write_text("not\nasked\n")
    check(MaskFolder(str(painted), colours={"sky": SKY, "road": list(ROAD)}), ("sky", "road"), 255)


def test_an_alpha_channel_is_dropped(painted: Path, write: Write) -> None:
    mask = np.full((8, 10, 4), 200, dtype=np.uint8)
    mask[..., :3] = SKY
    mask[5:, :, :3] = ROAD
    mask[0, 1, :3] = BLACK
    write("masks/train/a.png", mask)
    check(MaskFolder(str(painted), colours={"sky": SKY, "road": ROAD}), ("sky", "road"), 255)


def test_colours_without_names_are_listed(painted: Path) -> None:
    expected = (
        r"masks/train/a\.png: is painted.*\[0,0,0\], \[70,130,180\], \[128,64,128\].*data\.colours=.*classes\.txt"
    )
    with pytest.raises(DataError, match=expected):
        MaskFolder(str(painted)).read("train")
    for names in ({"class_names": ["sky", "road"]}, {}):
        (painted / "classes.txt").write_text("sky\nroad\n")
        with pytest.raises(DataError, match=expected):
            MaskFolder(str(painted), **names).read("train")


def test_a_colour_of_no_class_is_named(painted: Path) -> None:
    train = MaskFolder(str(painted), colours={"road": ROAD, "ground": BLACK}).read("train")
    with pytest.raises(DataError, match=r"a\.png: has the colour \[70,130,180\], which.*\[0,0,0\], \[128,64,128\]"):
        read_sample(train, 0, ("mask",))


def test_broken_lists_are_named_with_their_line(tmp_path: Path) -> None:
    for name, text, message in (
        ("class_dict.csv", "name,r,g\nsky,1,2\n", r"class_dict\.csv, line 1: has no column b"),
        ("class_dict.csv", "name,r,g,b\nsky,1,2,3\nroad,1,2\n", r"class_dict\.csv, line 3: .*no name with three"),
        ("class_dict.csv", "name,r,g,b\nsky,1,2,300\n", r"class_dict\.csv, line 2: \[1, 2, 300\] is no colour"),
        ("class_dict.csv", "name,r,g,b\nsky,1,2,3\nroad,1,2,3\n", r"line 3: 'road' has the colour \[1, 2, 3\], which"),
        ("labelmap.txt", "sky:1,2,3::\nroad\n", r"labelmap\.txt, line 2: 'road' has no colour"),
        ("classes.txt", b"sky\n\xe4\n", r"classes\.txt, line 2: is no UTF-8 text"),
    ):
        path = tmp_path / name
        path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)
        with pytest.raises(DataError, match=message):
            listed_classes(tmp_path)
        path.unlink()
    assert listed_classes(tmp_path) is None


def test_settings_that_are_no_colours_are_named() -> None:
    for colour in ([1, 2], [1, 2, 256], [1, 2, "x"], 7, [True, 1, 2]):
        with pytest.raises(ConfigError, match=r"data\.colours\.sky=.* such as \[128,0,0\]"):
            given_colours({"sky": colour})  # type: ignore[dict-item]
    assert given_colours({"a": (1, 2, 3), "ignore": (4, 5, 6)}) == MaskClasses(
        ("a",), {(1, 2, 3): 0, (4, 5, 6): 255, (0, 0, 0): 255}
    )
    with pytest.raises(ConfigError, match="give one of them"):
        MaskFolder("x", class_names=["a"], colours={"a": [1, 2, 3]})


def test_one_name_may_have_several_colours(painted: Path) -> None:
    (painted / "class_dict.csv").write_text("name,r,g,b\nany,70,130,180\nany,128,64,128\n")
    mask = read_sample(MaskFolder(str(painted)).read("train"), 0, ("mask",)).mask
    assert mask is not None
    assert np.unique(mask).tolist() == [0, 255]


@pytest.mark.parametrize(("images", "masks"), [("images", "masks"), ("imgs", "labels"), ("image", "annotations")])
def test_without_split_folders_nothing_is_split(tmp_path: Path, write: Write, images: str, masks: str) -> None:
    for stem, ending in (("b", ""), ("a", "_mask"), ("c_L", "")):
        write(f"{images}/{stem}.jpg")
        write(f"{masks}/{stem}{ending}.png", np.full((8, 10), ord(stem[0]) - 97, dtype=np.uint16))
    reader = MaskFolder(str(tmp_path))
    assert reader.splits() == UNSPLIT
    records = reader.read("all")
    assert records.classes.mask == ("0", "1", "2")
    assert [Path(name).stem for name in records.names] == ["a", "b", "c_L"]
    assert [int(read_sample(records, index, ("mask",)).mask[0, 0]) for index in range(3)] == [0, 1, 2]  # type: ignore[index]


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images/training", "annotations/training"), ("train", "train_labels"), ("train", "trainannot")],
)
def test_other_names_of_the_folders(tmp_path: Path, write: Write, images: str, masks: str) -> None:
    write(f"{images}/a.jpg")
    write(f"{masks}/a_L.png", np.ones((8, 10), dtype=np.uint8))
    reader = MaskFolder(str(tmp_path))
    assert reader.splits() == ("train",)
    assert list(reader.read("train").names) == [f"{images}/a.jpg"]


def test_one_without_the_other_is_left_out_where_all_is_to_be_found(tmp_path: Path, write: Write) -> None:
    for name in ("a", "b", "c"):
        write(f"images/train/{name}.png")
    for name in ("a", "c", "d"):
        write(f"masks/train/{name}.png", np.zeros((8, 10), dtype=np.uint8))
    (tmp_path / "masks/train/c.png").write_bytes(b"broken")
    reader = MaskFolder(str(tmp_path))
    reader.report.lenient = True
    assert [Path(name).stem for name in reader.read("train").names] == ["a", "c"]
    assert [(f.code, Path(f.path).name) for f in reader.report.findings] == [
        ("mask_missing", "b.png"),
        ("image_missing", "d.png"),
    ]
