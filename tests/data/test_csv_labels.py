from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from visionkit.data.formats.csv.reader import CSVLabels
from visionkit.data.reader import UNSPLIT
from visionkit.data.records import Records
from visionkit.data.report import Report
from visionkit.data.selection.selection import Selection
from visionkit.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, write: Write) -> Path:
    """Six images in the root, `images/train` and `val`."""
    for name in ("a.jpg", "b c.png", "images/train/d.jpg", "images/train/e.jpg", "val/f.jpg", "val/a.jpg"):
        write(name)
    return tmp_path


def put(root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    (root / name).write_bytes(text.encode(encoding))
    return root / name


def named(records: Records) -> dict[str, list[str]]:
    """Return each image's labels by its path."""
    classes = records.classes.labels
    assert classes is not None
    if records.labels is not None:
        return {name: [classes[label]] for name, label in zip(records.names, records.labels.tolist(), strict=True)}
    assert records.multilabel is not None
    rows = zip(records.names, records.multilabel.tolist(), strict=True)
    return {name: [one for one, there in zip(classes, row, strict=True) if there] for name, row in rows}


@pytest.mark.parametrize(
    "head", ["image,label", "Wo ist es?,Was ist es?", "label,file", ",image,label", "image,id,Class"]
)
def test_one_label_an_image_under_any_names(root: Path, head: str) -> None:
    cells = {"a.jpg": "dog", "b c.png": "ant hill", "./images/train/d.jpg": "dog"}
    rows = []
    for number, (image, label) in enumerate(cells.items()):
        row = {"label,file": [label, image], ",image,label": [str(number), image, label]}
        row["image,id,Class"] = [image, str(7 * number), label]
        rows.append(",".join(row.get(head, [image, label])))
    put(root, "\n".join([head, *rows]) + "\n")
    reader = CSVLabels(str(root))
    assert reader.splits() == UNSPLIT
    records = reader.read("all")
    assert records.kinds == ("labels",)
    assert records.classes.labels == ("ant hill", "dog")
    assert named(records) == {"a.jpg": ["dog"], "b c.png": ["ant hill"], "images/train/d.jpg": ["dog"]}
    assert records.images[1].shape == (8, 10, 3)
    assert {split: len(part) for split, part in Selection(reader).items()} == {"train": 2, "val": 1}


@pytest.mark.parametrize(
    ("delimiter", "end", "encoding"), [(";", "\r\n", "utf-8-sig"), ("\t", "\n", "utf-8"), (",", "\n", "utf-8-sig")]
)
def test_other_delimiters_and_byte_order_marks(root: Path, delimiter: str, end: str, encoding: str) -> None:
    lines = [("Bild", "Größe"), ("a.jpg", "groß"), ("", ""), ("b c.png", '"klein, ""fein"""')]
    put(root, end.join(delimiter.join(line) for line in lines), encoding=encoding)
    records = CSVLabels(str(root), image="Bild", label="Größe", separator="").read("all")
    assert named(records) == {"a.jpg": ["groß"], "b c.png": ['klein, "fein"']}
    assert records.kinds == ("labels",)


@pytest.mark.parametrize("sign", [" | ", "|", ";", ","])
def test_several_labels_in_a_cell(root: Path, sign: str) -> None:
    put(root, f'image,tags\na.jpg,"dog{sign}ant hill"\nb c.png,\nval/f.jpg,"dog{sign}{sign}dog"\n')
    records = CSVLabels(str(root)).read("all")
    assert records.kinds == ("multilabel",)
    assert named(records) == {"a.jpg": ["ant hill", "dog"], "b c.png": [], "val/f.jpg": ["dog"]}


def test_a_separator_may_be_said(root: Path) -> None:
    put(root, "image,tags\na.jpg,dog/cat\nb c.png,\n")
    assert named(CSVLabels(str(root), separator="/").read("all")) == {"a.jpg": ["cat", "dog"], "b c.png": []}
    put(root, "image,tags\na.jpg,dog\nb c.png,cat\n")
    assert CSVLabels(str(root), separator="|").read("all").kinds == ("multilabel",)


def test_columns_of_0_and_1(root: Path) -> None:
    put(root, "image,zebra,ant,split\na.jpg,1,0,train\nb c.png,0.0,,Training\nval/f.jpg,True,1.0,VALID\n")
    reader = CSVLabels(str(root))
    assert reader.splits() == ("train", "val")
    train = reader.read("train")
    assert train.classes.labels == ("zebra", "ant")
    assert named(train) == {"a.jpg": ["zebra"], "b c.png": []}
    assert named(reader.read("val")) == {"val/f.jpg": ["zebra", "ant"]}
    put(root, "image,zebra,ant,age\na.jpg,1,0,33\nb c.png,0,0,34\n")
    with pytest.raises(DataError, match=r"any of zebra, ant, age may hold the labels; say which: data\.label=zebra"):
        CSVLabels(str(root)).read("all")
    assert named(CSVLabels(str(root), label=["ant", "zebra"]).read("all")) == {"a.jpg": ["zebra"], "b c.png": []}
    with pytest.raises(DataError, match=r"labels\.csv, line 2: has '33' in the column age; 0 and 1"):
        CSVLabels(str(root), label=["ant", "age"]).read("all")


def test_one_column_of_numbers_holds_classes(root: Path) -> None:
    put(root, "image,sick\na.jpg,1\nb c.png,0\n")
    records = CSVLabels(str(root)).read("all")
    assert records.kinds == ("labels",)
    assert named(records) == {"a.jpg": ["1"], "b c.png": ["0"]}


def test_images_are_found_in_the_folder_of_their_split_and_without_suffix(root: Path) -> None:
    put(root, "image,label,set\nd.jpg,dog,train\ne,cat,train\nf,dog,validation\na,cat,val\n")
    reader = CSVLabels(str(root))
    assert named(reader.read("train")) == {"images/train/d.jpg": ["dog"], "images/train/e.jpg": ["cat"]}
    assert named(reader.read("val")) == {"val/f.jpg": ["dog"], "a.jpg": ["cat"]}  # the root comes before the folders


@pytest.mark.parametrize(
    "names", [("train.csv", "val.csv"), ("my_train.csv", "my-validation.csv"), ("Train_labels.csv", "valid_labels.csv")]
)
def test_a_file_a_split(root: Path, names: tuple[str, str]) -> None:
    put(root, "image,label\nd.jpg,dog\na.jpg,ant\n", names[0])
    put(root, "label,image\ncat,f.jpg\ndog,a.jpg\n", names[1])
    reader = CSVLabels(str(root))
    assert reader.splits() == ("train", "val")
    train, val = reader.read("train"), reader.read("val")
    assert named(train) == {"images/train/d.jpg": ["dog"], "a.jpg": ["ant"]}
    assert named(val) == {"val/f.jpg": ["cat"], "a.jpg": ["dog"]}
    assert train.classes == val.classes
    assert train.classes.labels == ("ant", "cat", "dog")


def test_groups_are_kept(root: Path) -> None:
    put(root, "image,label,Patient\na.jpg,dog,7\nb c.png,cat,\nval/f.jpg,cat,7\n")
    groups = CSVLabels(str(root)).read("all").groups
    assert groups is not None
    assert list(groups) == ["7", "b c.png", "7"]


def test_columns_may_be_said(root: Path) -> None:
    put(root, "before,after,group,what\na.jpg,b c.png,x,y\nb c.png,val/f.jpg,z,y\n")
    assert named(CSVLabels(str(root), image="after", label="group").read("all")) == {
        "b c.png": ["x"],
        "val/f.jpg": ["z"],
    }
    for arguments, message in (
        ({"image": "Bild"}, r"no column 'Bild' \(data\.image\); it has before, after, group, what"),
        ({"label": "Was"}, r"no column 'Was' \(data\.label\)"),
        ({"label": ["what", "Was"]}, r"no column 'Was' \(data\.label\)"),
    ):
        with pytest.raises(DataError, match=message):
            CSVLabels(str(root), **arguments).read("all")  # type: ignore[arg-type]


BROKEN = {
    "another length": ("image,label\na.jpg,dog\nb c.png,dog,cat\n", "line 3: holds 3 cells, but line 1 names 2"),
    "open quote": ('image,label\na.jpg,dog\nb c.png,"dog\n', r"line 4: is no valid CSV|line 3: is no valid CSV"),
    "no label": ("image,label\na.jpg,dog\nb c.png,\n", r"line 3: has no label; .*data\.separator"),
    "image twice": ("image,label\na.jpg,dog\nb c.png,cat\na,cat\n", "line 4: names the image 'a.jpg' a second time"),
    "no such image": ("image,label\na.jpg,dog\nnone.jpg,cat\n", "line 3: names the image 'none.jpg', which is not"),
    "no image": ("image,label\na.jpg,dog\n,cat\n", "line 3: names the image '', which is not"),
    "path outside": (
        "image,label\na.jpg,dog\n../../etc/passwd,cat\n",
        r"line 3: names the file '\.\./\.\./etc/passwd'",
    ),
    "split": (
        "image,label,split\na.jpg,dog,train\nb c.png,dog,fold 3\n",
        "line 3: has the split 'fold 3'; it is one of",
    ),
    "only images": ("image\na.jpg\n", "has no column of labels; it has image"),
    "columns twice": ("image,label,label\na.jpg,dog,cat\n", "line 1: has two columns 'label'"),
    "no names": ("a.jpg,dog\nb c.png,cat\n", r"line 1: holds the image 'a\.jpg' where the names"),
    "nothing": ("", "line 1: names no columns"),
    "no rows": ("image,label\n\n", "holds no rows"),
    "no images": ("image,label\nx.jpg,dog\n", r"no column names images that are there; looked for 'x\.jpg', 'dog'"),
    "several texts": ("image,colour,shape\na.jpg,red,round\nb c.png,red,flat\n", "any of colour, shape may hold"),
    "no labels at all": ("image,tags\na.jpg,|\n", "no row has a label in the column tags"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named_with_its_line(root: Path, text: str, message: str) -> None:
    put(root, text)
    with pytest.raises(DataError, match=rf"labels\.csv[:,].*({message})"):
        CSVLabels(str(root)).read("all" if "split" not in text else "train")


def test_another_encoding_is_named_with_its_line(root: Path) -> None:
    put(root, "image,label\na.jpg,dog\nb c.png,Bär\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"labels\.csv, line 3: is no UTF-8 text"):
        CSVLabels(str(root)).read("all")


def test_files_that_are_missing_or_too_many_are_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.csv file; lay it out as labels\.csv"):
        CSVLabels(str(root)).splits()
    put(root, "image,label\na.jpg,dog\n", "one.csv")
    assert CSVLabels(str(root)).splits() == UNSPLIT
    put(root, "image,label\na.jpg,dog\n", "two.csv")
    with pytest.raises(DataError, match=r"holds one\.csv, two\.csv; lay"):
        CSVLabels(str(root)).splits()
    put(root, "image,label\na.jpg,dog\n", "train.csv")
    put(root, "image,what\nf.jpg,dog\n", "val.csv")
    with pytest.raises(DataError, match=r"val\.csv: has no column 'label' \(which train\.csv has\)"):
        CSVLabels(str(root)).splits()
    put(root, "image,label\na.jpg,dog\n", "my_train.csv")
    with pytest.raises(DataError, match=r"my_train\.csv and train\.csv both name train"):
        CSVLabels(str(root)).splits()
    with pytest.raises(DataError, match="nowhere: does not exist"):
        CSVLabels(str(root / "nowhere")).splits()


def test_the_rest_is_read_where_all_is_to_be_found(root: Path) -> None:
    put(
        root,
        "image,label,split\na.jpg,dog,train\na.jpg,cat,train\n../x.jpg,cat,train\nnone,cat,train\nd,,train\n"
        "b c.png,cat\ne,cat,fold\nf,cat,val\n",
    )
    reader = CSVLabels(str(root))
    reader.report = Report(lenient=True)
    assert named(reader.read("train")) == {"a.jpg": ["dog"]}
    assert named(reader.read("val")) == {"val/f.jpg": ["cat"]}
    found = [(finding.code, finding.path.rpartition("/")[2]) for finding in reader.report.findings]
    assert sorted(found, key=lambda one: one[1]) == [
        ("duplicate_image", "labels.csv, line 3"),
        ("outside_root", "labels.csv, line 4"),
        ("image_missing", "labels.csv, line 5"),
        ("label_missing", "labels.csv, line 6"),
        ("bad_annotation", "labels.csv, line 7"),
        ("bad_annotation", "labels.csv, line 8"),
    ]


def test_coco_mini(real_data: Path) -> None:
    reader = CSVLabels(str(real_data / "coco_mini"))
    train, val = (reader.read(split) for split in reader.splits())
    assert (len(train), len(val)) == (25, 8)
    assert train.kinds == ("multilabel",)
    assert train.classes.labels is not None
    assert len(train.classes.labels) == 44
    assert named(val)["val/000000000508.jpg"] == []
    assert named(val)["val/000000000360.jpg"] == ["person", "snowboard"]
    assert named(train)["train/000000000071.jpg"] == ["car", "train", "truck"]
    assert all(part.images[0].ndim == 3 for part in (train, val))
