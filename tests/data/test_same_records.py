"""The same data written in several formats gives the same records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.data.conftest import paint
from visionkit.data.formats.coco.reader import COCO
from visionkit.data.formats.csv.reader import CSVLabels
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.formats.instances.reader import InstanceMasks
from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.formats.voc.reader import VOC
from visionkit.data.formats.yolo.reader import YOLO
from visionkit.data.reader import Reader
from visionkit.data.sample import Sample, read_sample

Write = Callable[..., Path]
Boxes = dict[str, list[tuple[int, int, int, int, int]]]

HEIGHT, WIDTH = 20, 40
NAMES = ("bus", "cat")
SPLITS: dict[str, Boxes] = {  # x1, y1, x2, y2 and the class of each object, the later on top
    "train": {"a": [(2, 3, 20, 18, 1), (5, 5, 10, 9, 0)], "b": [], "c": [(30, 0, 40, 20, 0)]},
    "val": {"d": [(0, 0, 7, 20, 1), (12, 4, 33, 11, 1)]},
}
LABELS = {"a": "cat", "b": "bus", "c": "bus", "d": "cat"}


def masks(objects: list[tuple[int, int, int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the class mask and the instance map of rectangles."""
    classes, numbers = np.zeros((2, HEIGHT, WIDTH), dtype=np.uint8)
    for number, (x1, y1, x2, y2, label) in enumerate(objects, start=1):
        classes[y1:y2, x1:x2] = label + 1
        numbers[y1:y2, x1:x2] = number
    return classes, numbers


def voc(root: Path, write: Write) -> Reader:
    for split, images in SPLITS.items():
        for stem, objects in images.items():
            write(f"voc/JPEGImages/{stem}.png", paint(HEIGHT, WIDTH, ord(stem)))
            things = "".join(
                f"<object><name>{NAMES[label]}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
                f"<ymax>{y2}</ymax></bndbox></object>"
                for x1, y1, x2, y2, label in objects
            )
            for name, text in (
                (f"Annotations/{stem}.xml", f"<annotation>{things}</annotation>"),
                (f"ImageSets/Segmentation/{split}.txt", "\n".join(images)),
                ("classes.txt", "background\nbus\ncat\n"),
            ):
                (root / "voc" / name).parent.mkdir(parents=True, exist_ok=True)
                (root / "voc" / name).write_text(text)
            for folder, values in zip(("SegmentationClass", "SegmentationObject"), masks(objects), strict=True):
                (root / "voc" / folder).mkdir(exist_ok=True)
                picture = PillowImage.fromarray(values, mode="P")
                picture.putpalette(range(30))
                picture.save(root / f"voc/{folder}/{stem}.png")
    return VOC(str(root / "voc"))


def coco(root: Path, write: Write, polygons: bool) -> Reader:
    for split, images in SPLITS.items():
        listed = [{"id": n, "file_name": f"{s}.png", "height": HEIGHT, "width": WIDTH} for n, s in enumerate(images)]
        annotations = []
        for number, (stem, objects) in enumerate(images.items()):
            write(f"coco/{split}/{stem}.png", paint(HEIGHT, WIDTH, ord(stem)))
            for x1, y1, x2, y2, label in objects:
                annotation = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 3 + 10 * label,
                    "iscrowd": 0,
                }
                annotation |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                if polygons:
                    annotation["segmentation"] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
                annotations.append(annotation)
        categories = [{"id": 3 + 10 * label, "name": name} for label, name in enumerate(NAMES)]
        path = root / f"coco/annotations/instances_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"images": listed, "annotations": annotations, "categories": categories}))
    return COCO(str(root / "coco"))


def yolo(root: Path, write: Write, polygons: bool) -> Reader:
    for split, images in SPLITS.items():
        for stem, objects in images.items():
            write(f"yolo/images/{split}/{stem}.png", paint(HEIGHT, WIDTH, ord(stem)))
            rows = []
            for x1, y1, x2, y2, label in objects:
                box = [(x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT]
                corners = [
                    x1 / WIDTH,
                    y1 / HEIGHT,
                    x2 / WIDTH,
                    y1 / HEIGHT,
                    x2 / WIDTH,
                    y2 / HEIGHT,
                    x1 / WIDTH,
                    y2 / HEIGHT,
                ]
                rows.append(" ".join(map(str, [label, *(corners if polygons else box)])))
            path = root / f"yolo/labels/{split}/{stem}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(rows))
    (root / "yolo/data.yaml").write_text("names: [bus, cat]\ntrain: images/train\nval: images/val\n")
    return YOLO(str(root / "yolo"))


def mask_folder(root: Path, write: Write, colours: bool) -> Reader:
    table = np.asarray([[0, 0, 0], [9, 200, 3], [128, 0, 128]], dtype=np.uint8)
    for split, images in SPLITS.items():
        for stem, objects in images.items():
            write(f"masks/images/{split}/{stem}.png", paint(HEIGHT, WIDTH, ord(stem)))
            values = masks(objects)[0]
            write(f"masks/masks/{split}/{stem}.png", table[values] if colours else values)
    names = ("background", *NAMES)
    if colours:
        return MaskFolder(str(root / "masks"), colours=dict(zip(names, table.tolist(), strict=True)))
    return MaskFolder(str(root / "masks"), class_names=names)


def instances(root: Path, write: Write, maps: bool) -> Reader:
    for split, images in SPLITS.items():
        for stem, objects in images.items():
            write(f"one/{split}/{stem}/images/{stem}.png", paint(HEIGHT, WIDTH, ord(stem)))
            (root / f"one/{split}/{stem}/masks").mkdir(exist_ok=True)
            for number, (x1, y1, x2, y2, _) in enumerate(objects):
                mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
                mask[y1:y2, x1:x2] = 255
                write(f"one/{split}/{stem}/masks/{number}.png", mask)
            if maps:
                write(f"one/labelmaps/{split}/{stem}.png", masks(objects)[1].astype(np.uint16))
    return InstanceMasks(str(root / "one"))


def samples(reader: Reader) -> dict[str, Sample]:
    """Return the samples by the stem of their image."""
    found = {}
    for split in reader.splits():
        records = reader.read(split)
        kinds = [*records.kinds, *(["instances"] if records.instances is not None else [])]
        stems = [Path(name).stem for name in records.names]
        assert stems == list(SPLITS[split])
        found |= {stem: read_sample(records, index, kinds) for index, stem in enumerate(stems)}
    assert reader.report.findings == ()
    return found


FORMATS: dict[str, Callable[[Path, Write], Reader]] = {
    "VOC": voc,
    "COCO boxes": lambda root, write: coco(root, write, polygons=False),
    "COCO polygons": lambda root, write: coco(root, write, polygons=True),
    "YOLO boxes": lambda root, write: yolo(root, write, polygons=False),
    "YOLO polygons": lambda root, write: yolo(root, write, polygons=True),
    "index masks": lambda root, write: mask_folder(root, write, colours=False),
    "painted masks": lambda root, write: mask_folder(root, write, colours=True),
    "a mask an object": lambda root, write: instances(root, write, maps=False),
    "label maps": lambda root, write: instances(root, write, maps=True),
}


@pytest.mark.parametrize("name", FORMATS)
def test_boxes_masks_and_instances(tmp_path: Path, write: Write, name: str) -> None:
    reader = FORMATS[name](tmp_path, write)
    one_class = isinstance(reader, InstanceMasks)
    classes = reader.read("train").classes
    assert classes.boxes in (None, ("object",) if one_class else NAMES)
    assert classes.mask in (None, ("background", *(("object",) if one_class else NAMES)))
    expected = {stem: objects for images in SPLITS.values() for stem, objects in images.items()}
    found = samples(reader)
    assert found.keys() == expected.keys()
    for stem, sample in found.items():
        assert np.array_equal(sample.image, paint(HEIGHT, WIDTH, ord(stem)))
        mask, numbers = masks(expected[stem])
        if sample.mask is not None:
            assert sample.mask.tolist() == (mask > 0 if one_class else mask).tolist()
        if sample.instances is not None:
            assert sample.instances.tolist() == numbers.tolist()
        if sample.boxes is not None:
            assert sample.box_label is not None
            assert sample.boxes.tolist() == [list(one[:4]) for one in expected[stem]]
            assert sample.box_label.tolist() == [0 if one_class else one[4] for one in expected[stem]]
    kinds = {kind for kind in ("mask", "boxes", "instances") if getattr(found["a"], kind) is not None}
    assert kinds == {
        "VOC": {"mask", "boxes", "instances"},
        "COCO boxes": {"boxes"},
        "YOLO boxes": {"boxes"},
        "YOLO polygons": {"mask", "boxes", "instances"},
        "index masks": {"mask"},
        "painted masks": {"mask"},
    }.get(name, {"mask", "boxes", "instances"})


def test_labels_in_folders_and_tables(tmp_path: Path, write: Write) -> None:
    rows = {"one": ["file,animal,split"], "train": ["file,animal"], "val": ["animal,file"]}
    for split, images in SPLITS.items():
        for stem in images:
            path = f"{split}/{LABELS[stem]}/{stem}.png"
            write(path, paint(HEIGHT, WIDTH, ord(stem)))
            rows["one"].append(f"{path},{LABELS[stem]},{split}")
            rows[split].append(",".join([path, LABELS[stem]][:: 1 if split == "train" else -1]))
    for name, files in (("one", ("one",)), ("two", ("train", "val"))):
        (tmp_path / name).mkdir()
        for split in SPLITS:
            (tmp_path / name / split).symlink_to(tmp_path / split)
        for file in files:
            (tmp_path / name / f"{file}.csv").write_text("\n".join(rows[file]))
    first = ImageFolder(str(tmp_path))
    for reader in (CSVLabels(str(tmp_path / "one")), CSVLabels(str(tmp_path / "two"))):
        assert reader.splits() == ("train", "val")
        for split in SPLITS:
            records, expected = reader.read(split), first.read(split)
            assert records.classes == expected.classes
            assert records.labels is not None
            assert expected.labels is not None
            found = dict(zip(records.names, records.labels.tolist(), strict=True))
            assert found == dict(zip(expected.names, expected.labels.tolist(), strict=True))
