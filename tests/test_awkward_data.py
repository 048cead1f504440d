"""Images as people have them train; files that cannot be used are named."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Run

TINY = ("data.size=32", "data.batch_size=2", "epochs=1", "trainer=cpu", "run_dir=run")


def awkward_images(folder: Path) -> None:
    """A grey, an RGBA, a 16-bit and an EXIF-rotated image, of several sizes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 30), dtype=np.uint8)).save(folder / "grey.png")
    Image.fromarray(rng.integers(0, 255, (25, 61, 4), dtype=np.uint8), "RGBA").save(folder / "rgba.png")
    cv2.imwrite(str(folder / "deep.png"), rng.integers(0, 65535, (33, 47, 3), dtype=np.uint16))
    rotated = Image.fromarray(rng.integers(0, 255, (20, 50, 3), dtype=np.uint8))
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(folder / "rotated.jpg", exif=exif)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A class folder of awkward images."""
    for split in ("train", "val"):
        for name in ("one class", "klaße"):
            awkward_images(tmp_path / "my data" / split / name)
    return tmp_path / "my data"


def test_awkward_images_train(command: Run, tmp_path: Path, folders: Path) -> None:
    done = command("train", "data=image_folder", f"data.root={folders}", "data.workers=1", *TINY)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["steps"] == 4
    assert "val/accuracy" in result["metrics"]
    assert "test/accuracy" not in result["metrics"]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(command: Run, folders: Path, workers: int) -> None:
    bad = folders / "train" / "klaße" / "broken.png"
    bad.write_bytes(b"no image at all")
    done = command("train", "data=image_folder", f"data.root={folders}", f"data.workers={workers}", *TINY)
    assert done.returncode == 2
    assert str(bad) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_split_that_is_missing_is_named_and_leaves_no_run(command: Run, tmp_path: Path, folders: Path) -> None:
    (folders / "val").rename(folders / "test")
    done = command("train", "data=image_folder", f"data.root={folders}", *TINY)
    assert done.returncode == 2
    assert "no split val" in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_empty_folder_is_named(command: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = command("train", "data=image_folder", "data.root=nothing", *TINY)
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mask_value_outside_the_classes_is_named(command: Run, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("images", "masks"):
            (tmp_path / "d" / name / split).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "d/images" / split / "a.png"), np.zeros((20, 20, 3), dtype=np.uint8))
        cv2.imwrite(str(tmp_path / "d/masks" / split / "a.png"), np.full((20, 20), 7, dtype=np.uint8))
    settings = ("task=segmentation", "data=mask_folder", "data.root=d", "data.class_names=[sky,road]", "data.workers=0")
    done = command("train", *settings, *TINY)
    assert done.returncode == 2
    assert str(Path("d/masks/train/a.png")) in done.stderr
    assert "7" in done.stderr
    assert "Traceback" not in done.stderr


def test_boxes_without_area_and_images_without_boxes_train(command: Run, tmp_path: Path) -> None:
    for name in ("JPEGImages", "Annotations"):
        (tmp_path / "voc" / name).mkdir(parents=True)
    flat = "<object><name>cell</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>9</ymax></bndbox></object>"
    good = flat.replace("<xmax>5", "<xmax>25").replace("<ymax>9", "<ymax>29")
    for index in range(15):
        stem = f"image{index:02}"
        cv2.imwrite(str(tmp_path / f"voc/JPEGImages/{stem}.jpg"), np.full((40, 60, 3), 40 + index, dtype=np.uint8))
        objects = "" if index % 3 == 0 else good + (flat if index % 3 == 1 else "")
        (tmp_path / f"voc/Annotations/{stem}.xml").write_text(
            f"<annotation><filename>{stem}.jpg</filename>"
            f"<size><width>60</width><height>40</height><depth>3</depth></size>{objects}</annotation>"
        )
    done = command("train", "task=detection", "data=voc", "data.root=voc", "data.workers=0", *TINY)
    assert done.returncode == 0, done.stderr
    assert "image01.xml" in done.stdout + done.stderr
    assert "val/mAP_50" in json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
