"""On real data the doctor finds every planted fault, and raises no false error."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.engine.doctor_data import cut, diagnose, files, of, opened, save, some
from visionkit.data.formats.coco.reader import COCO
from visionkit.data.formats.csv.reader import CSVLabels
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.formats.instances.reader import InstanceMasks
from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.formats.voc.reader import VOC


def leaks(diagnosis: object) -> set[frozenset[str]]:
    return {frozenset(finding.files) for finding in of(diagnosis, "leak")}  # type: ignore[arg-type]


def test_clothing10_poisoned(real_data: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        some(real_data / "clothing10", tmp_path, f"{split}/[hps]*/*.jpg", every=5, most=30)
    first, second, third, fourth, fifth = sorted(tmp_path.glob("train/*/*.jpg"))[:5]
    (tmp_path / "val/hat/exact.jpg").write_bytes(first.read_bytes())
    save(tmp_path / "val/hat/anew.png", opened(second))
    save(tmp_path / "val/pants/cut.jpg", cut(opened(third), 0.1), quality=70)
    fourth.write_bytes(fourth.read_bytes()[:5000])
    fifth.rename(fifth.with_suffix(".png"))
    (tmp_path / "train/zebra").mkdir()
    diagnosis = diagnose(ImageFolder(str(tmp_path)))

    def name(path: Path) -> str:
        return path.relative_to(tmp_path).as_posix()

    assert leaks(diagnosis) == {
        frozenset({name(first), "val/hat/exact.jpg"}),
        frozenset({name(second), "val/hat/anew.png"}),
        frozenset({name(third), "val/pants/cut.jpg"}),
    }
    assert files(diagnosis, "truncated") == {name(fourth)}
    assert files(diagnosis, "wrong_extension") == {name(fifth.with_suffix(".png"))}
    assert files(diagnosis, "class_empty") == {"train/zebra"}
    assert {finding.code for finding in diagnosis.findings if finding.kind.level == "error"} == {
        "leak", "truncated", "class_empty",
    }  # fmt: skip


def test_bccd_poisoned(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "bccd"
    stems = {split: (source / f"ImageSets/Main/{split}.txt").read_text().split()[:14] for split in ("train", "val")}
    for split, names in stems.items():
        for stem in names:
            for name in (f"JPEGImages/{stem}.jpg", f"Annotations/{stem}.xml"):
                (tmp_path / name).parent.mkdir(exist_ok=True)
                shutil.copy(source / name, tmp_path / name)
        (tmp_path / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
    train, val = ([tmp_path / f"JPEGImages/{stem}.jpg" for stem in stems[split]] for split in ("train", "val"))
    val[0].write_bytes(train[0].read_bytes())
    save(val[1], opened(train[1]), quality=60)
    save(val[2], cut(opened(train[2]), 0.05), quality=80)
    train[3].write_bytes(train[3].read_bytes()[:-3000])
    outside = tmp_path / f"Annotations/{stems['train'][4]}.xml"
    outside.write_text(re.sub(r"<xmax>\d+", "<xmax>900", outside.read_text(), count=1))
    flat = tmp_path / f"Annotations/{stems['train'][5]}.xml"
    corner = re.search(r"<xmin>(\d+)", flat.read_text())
    assert corner
    flat.write_text(re.sub(r"<xmax>\d+", f"<xmax>{corner[1]}", flat.read_text(), count=1))
    diagnosis = diagnose(VOC(str(tmp_path)))
    assert leaks(diagnosis) == {
        frozenset({f"JPEGImages/{one.name}", f"JPEGImages/{two.name}"})
        for one, two in zip(train[:3], val[:3], strict=True)
    }
    assert files(diagnosis, "truncated") == {f"JPEGImages/{train[3].name}"}
    cropped = f"JPEGImages/{val[2].name}, box "  # whose boxes were not moved with it
    (found,) = [one for one in of(diagnosis, "box_outside") if not one.files[0].startswith(cropped)]
    assert found.files[0].startswith(f"JPEGImages/{train[4].name}, box ")
    assert found.boxes[0][2] == 900
    (found,) = of(diagnosis, "box_empty")
    assert found.files[0].startswith(f"Annotations/{flat.name}, object ")


def as_masks(source: Path, target: Path, split: str, most: int) -> list[str]:
    """Lay out some nuclei as a folder of masks, 1 where any nucleus is; return the stems."""
    stems = []
    for folder in sorted((source / split).iterdir())[:most]:
        (image,) = (folder / "images").iterdir()
        (target / "images" / split).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, target / "images" / split / image.name)
        plane = cv2.imread(str(source / "labelmaps" / split / image.name), cv2.IMREAD_UNCHANGED)
        save(target / "masks" / split / image.name, (plane > 0).astype(np.uint8))
        stems.append(folder.name)
    return stems


def test_nuclei_poisoned(real_data: Path, tmp_path: Path) -> None:
    train = as_masks(real_data / "nuclei", tmp_path, "train", 16)
    val = as_masks(real_data / "nuclei", tmp_path, "val", 8)
    (tmp_path / "classes.txt").write_text("background\nnucleus\nmitosis\n")

    def put(stem: str, copy: np.ndarray | None, source: str) -> None:
        """Put a copy of a training image in the place of a validation image, with its mask."""
        path = tmp_path / f"images/val/{stem}.png"
        if copy is None:
            path.write_bytes((tmp_path / f"images/train/{source}.png").read_bytes())
        else:
            save(path, copy)
        save(tmp_path / f"masks/val/{stem}.png", np.zeros(opened(path).shape[:2], np.uint8))

    source = {stem: opened(tmp_path / f"images/train/{stem}.png") for stem in train}
    put(val[0], None, train[0])
    anew = cv2.imdecode(cv2.imencode(".jpg", source[train[1]], [cv2.IMWRITE_JPEG_QUALITY, 70])[1], 1)
    put(val[1], anew, train[1])
    put(val[2], cut(source[train[2]], 0.08), train[2])
    path = tmp_path / f"images/train/{train[3]}.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    height, width = source[train[4]].shape[:2]
    save(tmp_path / f"masks/train/{train[4]}.png", np.zeros((height, width - 9), np.uint8))
    diagnosis = diagnose(MaskFolder(str(tmp_path)))
    assert leaks(diagnosis) == {
        frozenset({f"images/train/{one}.png", f"images/val/{two}.png"})
        for one, two in zip(train[:3], val[:3], strict=True)
    }
    assert files(diagnosis, "truncated") == {f"images/train/{train[3]}.png"}
    assert files(diagnosis, "mask_size") == {f"masks/train/{train[4]}.png"}
    assert all(finding.text.endswith("mitosis") for finding in of(diagnosis, "class_missing"))
    assert len(of(diagnosis, "alpha")) >= 20
    assert {finding.code for finding in diagnosis.findings if finding.kind.level == "error"} == {
        "leak", "truncated", "mask_size",
    }  # fmt: skip


def test_frames_of_a_film_are_near_and_no_error(real_data: Path, tmp_path: Path) -> None:
    for pattern in ("*/val/*", "*/train/0001TP*", "*/test/0001TP*"):
        some(real_data / "camvid", tmp_path, pattern)
    diagnosis = diagnose(MaskFolder(str(tmp_path), ignore=11))
    assert not diagnosis.wrong
    assert {finding.code for finding in diagnosis.findings} <= {"near", "near_splits", "class_missing"}
    film = [finding.files for finding in of(diagnosis, "near")]
    assert ("images/val/0016E5_08033.png", "images/val/0016E5_08059.png") in film
    (one,) = of(diagnosis, "near_splits")
    assert one.files == ("images/train/0001TP_008520.png", "images/test/0001TP_008550.png")


@pytest.mark.slow
def test_whole_data_sets_raise_no_false_error(real_data: Path) -> None:
    clothing = diagnose(ImageFolder(str(real_data / "clothing10")))
    assert not clothing.wrong
    camvid = diagnose(MaskFolder(str(real_data / "camvid"), ignore=11))
    assert {finding.code for finding in camvid.findings} == {"near", "near_splits"}
    nuclei = diagnose(InstanceMasks(str(real_data / "nuclei")))
    assert {finding.code for finding in nuclei.findings} == {"alpha"}
    coco = diagnose(COCO(str(real_data / "coco_mini")))
    assert {finding.code for finding in coco.findings} == {"class_missing", "grey", "no_objects"}
    (without,) = of(coco, "no_objects")
    assert without.files == ("val/000000000508.jpg",)
    table = diagnose(CSVLabels(str(real_data / "coco_mini")))
    assert {finding.code for finding in table.findings} == {"class_missing", "grey"}
    bccd = diagnose(VOC(str(real_data / "bccd")))
    assert {finding.code for finding in bccd.findings if finding.kind.level == "error"} == {"box_empty"}
    assert files(bccd, "box_empty") == {
        "Annotations/BloodImage_00338.xml, object 13", "Annotations/BloodImage_00343.xml, object 4",
    }  # fmt: skip
