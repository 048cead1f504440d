from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from visionkit.data.formats.yolo.layout import label_path
from visionkit.data.formats.yolo.reader import YOLO
from visionkit.data.reader import UNSPLIT
from visionkit.data.sample import read_sample
from visionkit.errors import DataError

Write = Callable[..., Path]

BOX = "0 0.3 0.5 0.4 0.5\n"  # of 10 x 8 pixels: x 1 to 5, y 2 to 6
YAML = "names: [dog, cat]\ntrain: images/train\nval: images/val\n"


@pytest.fixture
def add(tmp_path: Path, write: Write) -> Callable[..., None]:
    """Adds an image of 8 x 10 pixels and its labels; None writes no label file."""

    def one(image: str, labels: str | None = BOX) -> None:
        write(image)
        path = tmp_path / f"{image.replace('images', 'labels').rpartition('.')[0]}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        if labels is not None:
            path.write_text(labels)

    return one


def lines(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)


def test_boxes_by_hand(tmp_path: Path, add: Callable[..., None]) -> None:
    add("images/train/b.jpg", "1 0.3 0.5 0.4 0.5\n\n0 0.95 0.9375 0.1 0.125 \n")
    add("images/train/a b.jpg", "")
    add("images/train/deep/c.png", None)
    add("images/val/d.jpg", "0 0.5 0.5 1 1\n")
    lines(tmp_path, YAML)
    reader = YOLO(str(tmp_path))
    assert reader.splits() == ("train", "val")
    train = reader.read("train")
    assert list(train.names) == ["images/train/a b.jpg", "images/train/b.jpg", "images/train/deep/c.png"]
    assert train.classes.boxes == ("dog", "cat")
    assert train.kinds == ("boxes",)
    assert train.masks is None
    assert train.instances is None
    assert train.boxes is not None
    assert train.boxes.tolist() == [[1, 2, 5, 6], [9, 7, 10, 8]]
    assert train.boxes.dtype == np.float32
    assert train.box_label is not None
    assert train.box_label.tolist() == [1, 0]
    assert train.box_start is not None
    assert train.box_start.tolist() == [0, 0, 2, 2]
    val = reader.read("val")
    assert val.boxes is not None
    assert val.boxes.tolist() == [[0, 0, 10, 8]]
    assert reader.report.findings == ()


def test_boxes_are_in_the_pixels_of_the_upright_image(tmp_path: Path, add: Callable[..., None]) -> None:
    add("images/train/a.jpg", BOX)
    lines(tmp_path, YAML.partition("val")[0])
    picture = PillowImage.fromarray(np.zeros((10, 8, 3), dtype=np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "images/train/a.jpg", exif=exif)
    train = YOLO(str(tmp_path)).read("train")
    assert train.images[0].shape == (8, 10, 3)
    assert train.boxes is not None
    assert train.boxes.tolist() == [[1, 2, 5, 6]]


@pytest.mark.parametrize(
    ("text", "train", "val"),
    [
        ("path: .\ntrain: images/train\nval: images/val\n", "images/train/a.jpg", "images/val/b.jpg"),
        ("path: ../sets/mine\ntrain: images/train\nval: images/val\n", "images/train/a.jpg", "images/val/b.jpg"),
        ("path: sub\ntrain: images/train\nval: images/val\n", "sub/images/train/a.jpg", "sub/images/val/b.jpg"),
        ("train: ../train/images\nval: ../v/images\ntest: ../test/images\n", "train/images/a.jpg", "v/images/b.jpg"),
        ("train: [images/one, images/two]\nval: images/val\n", "images/two/a.jpg", "images/val/b.jpg"),
        ("train: lists/t.txt\nval: lists/v.txt\n", "images/x/a.jpg", "images/x/b.jpg"),
        ("path: {root}\ntrain: {root}/images/train\nval: images/val\n", "images/train/a.jpg", "images/val/b.jpg"),
    ],
)  # fmt: skip
def test_data_yaml_names_the_images(tmp_path: Path, add: Callable[..., None], text: str, train: str, val: str) -> None:
    add(train)
    add(val)
    (tmp_path / "images/one").mkdir(parents=True, exist_ok=True)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/t.txt").write_text(f"./../{train}\n\n")
    (tmp_path / "lists/v.txt").write_text(f"{tmp_path / val}\n")
    lines(tmp_path, "names: {0: dog, 1: cat}\n" + text.format(root=tmp_path))
    reader = YOLO(str(tmp_path))
    assert reader.splits() == ("train", "val")
    for split, name in (("train", train), ("val", val)):
        records = reader.read(split)
        assert list(records.names) == [name]
        assert records.box_label is not None
        assert records.box_label.tolist() == [0]
        assert records.classes.boxes == ("dog", "cat")


@pytest.mark.parametrize("layout", ["images/{}", "{}/images"])
def test_folders_tell_the_splits_without_data_yaml(tmp_path: Path, add: Callable[..., None], layout: str) -> None:
    add(f"{layout.format('train')}/a.jpg")
    add(f"{layout.format('valid')}/b.jpg", "3 0.5 0.5 0.5 0.5\n")
    reader = YOLO(str(tmp_path))
    assert reader.splits() == ("train", "val")
    assert reader.read("train").classes.boxes == ("0", "1", "2", "3")
    lines(tmp_path, f"nc: 5\ntrain: {layout.format('train')}\n")
    assert YOLO(str(tmp_path)).read("train").classes.boxes == ("0", "1", "2", "3", "4")
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\ndog\n")
    assert YOLO(str(tmp_path)).read("train").classes.boxes == ("ant", "bee", "cat", "dog")


def test_without_splits_and_with_labels_beside_the_images(tmp_path: Path, add: Callable[..., None]) -> None:
    add("images/a.jpg")
    reader = YOLO(str(tmp_path))
    assert reader.splits() == UNSPLIT
    assert len(reader.read("all").box_label) == 1  # type: ignore[arg-type]
    add("obj/b.jpg", "1 0.5 0.5 0.5 0.5")
    (tmp_path / "list.txt").write_text("obj/b.jpg\nobj/b.jpg\n")
    lines(tmp_path, "names: [dog, cat]\ntrain: list.txt\n")
    train = YOLO(str(tmp_path)).read("train")
    assert list(train.names) == ["obj/b.jpg"]
    assert train.box_label is not None
    assert train.box_label.tolist() == [1]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/train/a.b.jpg", "labels/train/a.b.txt"),
        ("images/x/images/a.jpg", "images/x/labels/a.txt"),
        ("x/images.jpg", "x/images.txt"),
        ("my images/a.png", "my images/a.txt"),
    ],
)
def test_where_labels_lie(image: str, label: str) -> None:
    assert label_path(image) == label


SQUARE = "0 0.1 0.125 0.7 0.125 0.7 0.75 0.1 0.75\n"  # x 1 to 7, y 1 to 6
SMALL = "1 0.3 0.25 0.5 0.25 0.5 0.5 0.3 0.5\n"  # x 3 to 5, y 2 to 4


@pytest.mark.parametrize("order", [(SQUARE, SMALL), (SMALL, SQUARE)])
def test_polygons_are_drawn_the_smaller_on_top(
    tmp_path: Path, add: Callable[..., None], order: tuple[str, str]
) -> None:
    flat = "1 0.1 0.5 0.2 0.5 0.3 0.5\n"  # no height: left out, and the numbers move up
    add("images/train/a.png", order[0] + flat + order[1] + order[1])
    add("images/train/b.png", None)
    lines(tmp_path, YAML.partition("val")[0])
    reader = YOLO(str(tmp_path))
    train = reader.read("train")
    assert train.classes.mask == ("background", "dog", "cat")
    assert train.classes.boxes == ("dog", "cat")
    square, small = order.index(SQUARE), order.index(SMALL)
    assert train.boxes is not None
    assert train.boxes[square].tolist() == [1, 1, 7, 6]
    assert train.boxes[small].tolist() == [3, 2, 5, 4]
    sample = read_sample(train, 0, ("mask", "instances"))
    expected = np.zeros((8, 10), dtype=int)
    expected[1:6, 1:7] = 1
    expected[2:4, 3:5] = 2
    assert sample.mask is not None
    assert sample.mask.tolist() == expected.tolist()
    numbers = np.asarray([0, square + 1, small + 1])
    assert sample.instances is not None
    assert sample.instances.tolist() == numbers[expected].tolist()
    assert (read_sample(train, 1, ("mask",)).mask == 0).all()
    assert [(f.code, Path(f.path).name) for f in reader.report.findings] == [
        ("box_empty", "a.txt, line 2"),
        ("box_duplicate", "a.txt, line 4"),
    ]


def test_boxes_among_polygons_leave_the_image_without_a_mask(tmp_path: Path, add: Callable[..., None]) -> None:
    add("images/train/a.png", SQUARE + BOX)
    add("images/train/b.png", SQUARE)
    add("images/val/c.png", BOX)
    lines(tmp_path, YAML)
    reader = YOLO(str(tmp_path))
    train, val = reader.read("train"), reader.read("val")
    assert train.boxes is not None
    assert train.boxes.tolist() == [[1, 1, 7, 6], [1, 2, 5, 6], [1, 1, 7, 6]]
    assert train.present.tolist() == [[False, False, False, True], [False, False, True, True]]
    assert val.classes == train.classes
    assert val.kinds == ("boxes",)
    assert train.instances is None
    mask = read_sample(train, 1, ("mask",)).mask
    assert mask is not None
    assert mask.sum() == 30
    assert [Path(f.path).name for f in reader.report.findings] == ["a.txt", "c.txt"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_polygons_are_drawn_as_coco_draws_them(tmp_path: Path, add: Callable[..., None]) -> None:
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    shapes = rng.uniform(-0.01, 1.01, (12, 5, 2))
    rows = "".join(f"0 {' '.join(map(repr, shape.ravel().tolist()))}\n" for shape in shapes)
    add("images/train/a.png", rows)
    lines(tmp_path, YAML.partition("val")[0])
    masks = YOLO(str(tmp_path)).read("train").masks
    assert masks is not None
    expected = np.zeros((8, 10), dtype=np.uint8)
    for shape in shapes:
        corners = (shape * [10, 8]).ravel().tolist()
        expected |= coco_mask.decode(coco_mask.frPyObjects([corners], 8, 10))[..., 0]
    assert np.abs(np.asarray(masks[0], dtype=int) - expected).sum() <= 1  # float32 corners on the border of a pixel


def test_rows_that_cannot_be_read_are_named(tmp_path: Path, add: Callable[..., None]) -> None:
    lines(tmp_path, YAML.partition("val")[0])
    for row, code, message in (
        ("2 0.5 0.5 0.5 0.5", "unknown_class", "has the class 2, but there are names for 0 to 1"),
        ("-1 0.5 0.5 0.5 0.5", "bad_annotation", "has the class -1; classes are whole numbers"),
        ("0.5 0.5 0.5 0.5 0.5", "bad_annotation", "has the class 0.5"),
        ("nan 0.5 0.5 0.5 0.5", "bad_annotation", "has the class nan"),
        ("\ufffd\x00 0.5 0.5 0.5 0.5", "bad_annotation", "not all numbers"),
        ("dog 0.5 0.5 0.5 0.5", "bad_annotation", "not all numbers"),
        ("0 0.5 0.5 0.5", "bad_annotation", "holds 4 values; a box is"),
        ("0 0.5 0.5 0.5 0.5 0.9", "bad_annotation", "holds 6 values"),
        ("0 0.5 0.5 0.5 0.5 0.9 0.1 0.2", "bad_annotation", "holds 8 values"),
        ("0 5 2 4 3", "bad_annotation", "fractions .* not pixels"),
        ("0 0.5 0.5 -0.1 0.5", "bad_annotation", "fractions"),
        ("0 0.5 nan 0.5 0.5", "bad_annotation", "fractions"),
        ("0 0.1 0.1 0.5 0.5 0.1 1.02", "bad_annotation", "fractions"),
    ):
        add("images/train/a.jpg", BOX + row)
        add("images/train/b.jpg", BOX)
        with pytest.raises(DataError, match=rf"labels/train/a\.txt, line 2: {message}|a\.txt, line 2: .*{message}"):
            YOLO(str(tmp_path)).read("train")
        reader = YOLO(str(tmp_path))
        reader.report.lenient = True
        assert list(reader.read("train").names) == ["images/train/b.jpg"]
        assert [finding.code for finding in reader.report.findings] == [code]


def test_boxes_that_cannot_be_right_are_warned_of(tmp_path: Path, add: Callable[..., None]) -> None:
    add("images/train/a.jpg", BOX + "0 0.9 0.5 0.5 0.5\n" + BOX + "0 0.5 0.5 0 0.5\n1" + BOX[1:])
    add("images/train/b.jpg", BOX)
    add("images/val/a.jpg", "0 1.005 0.5 0.1 0.5\n")
    lines(tmp_path, YAML)
    reader = YOLO(str(tmp_path))
    train = reader.read("train")
    assert train.boxes is not None
    assert train.box_start is not None
    assert train.boxes[[0, 2, 3]].tolist() == [[1, 2, 5, 6]] * 3
    assert train.box_start.tolist() == [0, 3, 4]
    found = [(finding.code, finding.path.rpartition("/")[2]) for finding in reader.report.findings]
    assert found == [
        ("box_empty", "a.txt, line 4"),
        ("box_duplicate", "a.txt, line 3"),
        ("box_outside", "a.txt, line 2"),
    ]
    assert reader.read("val").boxes is not None  # half a pixel beyond the border is nothing to speak of


def test_a_broken_data_yaml_is_named(tmp_path: Path, add: Callable[..., None]) -> None:
    add("images/train/a.jpg")
    for text, message in (
        ("names: [a\ntrain: x\n", r"data\.yaml, line 2: is no valid YAML"),
        ("just text", "holds no keys"),
        ("names: !!python/object/apply:os.getcwd []\n", r"data\.yaml, line 1: is no valid YAML"),
        ("names: [a]\n", "names none of train, val and test"),
        ("nc: many\ntrain: images/train\n", "names is None"),
        ("names: a\ntrain: images/train\n", "names is 'a'"),
        ("names: {1: a, 2: b}\ntrain: images/train\n", "from 0 to 1"),
        ("names: [a, b]\nnc: 3\ntrain: images/train\n", "nc is 3, but there are 2 names"),
        ("names: [a]\ntrain: images/nowhere\n", r"data\.yaml, train: 'images/nowhere' is neither a folder nor"),
        ("names: [a]\ntrain: ../../etc\n", r"data\.yaml, train: names the file '\.\./\.\./etc', which is not below"),
        ("names: [a]\ntrain: /etc\n", r"names the file '/etc', which is not below"),
    ):
        lines(tmp_path, text)
        with pytest.raises(DataError, match=message):
            YOLO(str(tmp_path)).read("train")
    (tmp_path / "data.yaml").rename(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").touch()
    with pytest.raises(DataError, match=r"holds a\.yaml, b\.yaml; call"):
        YOLO(str(tmp_path)).splits()


def test_lists_and_missing_files_are_named(tmp_path: Path, add: Callable[..., None]) -> None:
    add("images/train/a.jpg")
    lines(tmp_path, "nc: 1\ntrain: list.txt\n")
    for line, message in (("../../etc/passwd", "'../../etc/passwd', which is not below"), ("b.jpg", "no file below")):
        (tmp_path / "list.txt").write_text(f"images/train/a.jpg\n{line}\n")
        with pytest.raises(DataError, match=rf"list\.txt, line 2: .*{message}"):
            YOLO(str(tmp_path)).read("train")
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(DataError, match=r"data\.yaml, train: holds no images"):
        YOLO(str(tmp_path)).read("train")
    lines(tmp_path, "nc: 1\ntrain: images/train\n")
    (tmp_path / "images/train/a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image"):
        YOLO(str(tmp_path)).read("train")
    add("images/train/b.jpg")
    reader = YOLO(str(tmp_path))
    reader.report.lenient = True
    train = reader.read("train")
    assert list(train.names) == ["images/train/b.jpg"]
    assert train.boxes is not None
    assert train.boxes.tolist() == [[1, 2, 5, 6]]
    assert [finding.code for finding in reader.report.findings] == ["unreadable_image"]
    with pytest.raises(DataError, match=r"holds .*|has no data\.yaml"):
        YOLO(str(tmp_path / "images/train")).splits()
