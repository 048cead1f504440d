"""The doctor finds what is wrong, names the file, and says nothing of what is right."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from sklearn.datasets import load_digits

from tests.engine.doctor_data import cut, diagnose, files, of, opened, save, scene
from visionkit import doctor
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.formats.masks.reader import MaskFolder
from visionkit.data.formats.voc.reader import VOC
from visionkit.data.pictures.files import decode_image
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.engine.doctor import labels, looking, page
from visionkit.engine.doctor.codes import KINDS, LEVELS, Finding, by_code
from visionkit.types import Classes


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Two classes, six training and two validation pictures each, nothing wrong with them."""
    root = tmp_path / "my birds"
    for number in range(16):
        split, kind = ("val" if number >= 12 else "train"), ("crow", "wren")[number % 2]
        save(root / split / kind / f"{number}.jpg", scene(number))
    return root


def test_nothing_is_said_of_what_is_right(birds: Path) -> None:
    diagnosis = diagnose(ImageFolder(str(birds)))
    assert diagnosis.findings == []
    assert not diagnosis.wrong
    assert diagnosis.counts["val"]["labels"] == {"crow": 2, "wren": 2}
    plain = diagnosis.as_json()
    assert plain["images"] == {"train": 12, "val": 4}
    assert plain["height"] == {"min": 150, "median": 150, "max": 150}


def test_files_that_cannot_be_used(birds: Path) -> None:
    whole = (birds / "train/crow/0.jpg").read_bytes()
    (birds / "train/crow/0.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    save(birds / "train/wren/whole.png", scene(50))
    png = (birds / "train/wren/whole.png").read_bytes()
    (birds / "train/wren/half.png").write_bytes(png[: len(png) // 2])
    (birds / "train/wren/1.jpg").write_bytes(b"")
    (birds / "val/crow/12.jpg").write_bytes(b"no picture at all, but some text")
    (birds / "train/wren/3.jpg").rename(birds / "train/wren/3.png")
    diagnosis = diagnose(ImageFolder(str(birds)))
    assert files(diagnosis, "truncated") == {"train/crow/0.jpg", "train/wren/half.png"}
    assert files(diagnosis, "empty") == {"train/wren/1.jpg"}
    assert files(diagnosis, "unreadable") == {"val/crow/12.jpg"}
    assert files(diagnosis, "wrong_extension") == {"train/wren/3.png"}
    assert "JPEG" in of(diagnosis, "wrong_extension")[0].text
    assert set(diagnosis.leave_out()) == {
        "train/crow/0.jpg",
        "train/wren/half.png",
        "train/wren/1.jpg",
        "val/crow/12.jpg",
    }
    assert diagnosis.findings[0].kind.level == "error"
    assert diagnosis.findings[-1].code == "wrong_extension"


def test_a_huge_picture_is_refused_before_it_is_decoded(birds: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    (birds / "val/wren/huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert files(diagnose(ImageFolder(str(birds))), "too_large") == {"val/wren/huge.png"}


def test_what_pictures_are_like_is_noted(birds: Path) -> None:
    folder = birds / "train/crow"
    colour, rng = scene(60), np.random.default_rng(0)
    save(folder / "grey.png", scene(61)[..., 0])
    PillowImage.fromarray(np.dstack([scene(62), np.full((150, 200), 255, np.uint8)])).save(folder / "alpha.png")
    cv2.imwrite(str(folder / "deep.png"), rng.integers(0, 65535, (40, 60, 3), dtype=np.uint16))
    cv2.imwrite(str(folder / "deep_grey.png"), rng.integers(0, 65535, (40, 60), dtype=np.uint16))
    PillowImage.fromarray(scene(63)).convert("CMYK").save(folder / "cmyk.jpg")
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    PillowImage.fromarray(colour).save(folder / "turned.jpg", exif=exif)
    save(folder / "blank.png", np.full((30, 30, 3), 90, np.uint8))
    save(folder / "white.png", np.full((30, 30, 3), 255, np.uint8))
    faint = np.linspace(100, 104, 200).astype(np.uint8)[None, :, None].repeat(150, axis=0).repeat(3, axis=2)
    save(folder / "faint.png", faint)
    save(folder / "fainter.bmp", faint)
    diagnosis = diagnose(ImageFolder(str(birds)))
    expected = {
        "grey": {"grey", "deep_grey"}, "alpha": {"alpha"}, "deep": {"deep", "deep_grey"}, "cmyk": {"cmyk"},
        "turned": {"turned"}, "blank": {"blank", "white", "faint", "fainter"},
    }  # fmt: skip
    found = {code: {Path(file).stem for file in files(diagnosis, code)} for code in by_code(diagnosis.findings)}
    assert found == expected  # and pictures of one colour are not the same picture
    assert not diagnosis.wrong
    row = list(diagnosis.splits["train"].names).index("train/crow/turned.jpg")
    assert diagnosis.scan.of("train")[row][["height", "width"]].tolist() == (200, 150)


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_pictures_are_turned_as_training_turns_them(suffix: str, tmp_path: Path) -> None:
    image = scene(3, 90, 120)
    for orientation in range(1, 9):
        exif = PillowImage.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.{suffix}"
        PillowImage.fromarray(image).save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
        seen = looking.look_at(path)
        upright = cv2.cvtColor(decode_image(path), cv2.COLOR_RGB2GRAY)
        assert (seen.height, seen.width) == upright.shape == seen.grey.shape
        assert np.abs(seen.grey.astype(int) - upright).max() <= 1, orientation
        assert ("turned" in seen.notes) == (orientation > 1)


def test_formats_that_pillow_does_not_know_are_left_to_the_reader(birds: Path) -> None:
    np.save(birds / "train/crow/raw.npy", scene(70))
    np.save(birds / "train/crow/wrong.npy", np.zeros(3))
    diagnosis = diagnose(ImageFolder(str(birds)))
    assert files(diagnosis, "unreadable") == {"train/crow/wrong.npy"}
    assert len(diagnosis.findings) == 1


def test_copies_across_splits_are_leaks_and_within_one_a_warning(birds: Path) -> None:
    (birds / "val/crow/same.jpg").write_bytes((birds / "train/crow/0.jpg").read_bytes())
    save(birds / "val/wren/anew.jpg", opened(birds / "train/wren/1.jpg"), quality=60)
    save(birds / "val/crow/part.jpg", cut(opened(birds / "train/crow/2.jpg")), quality=80)
    (birds / "train/wren/twice.jpg").write_bytes((birds / "train/wren/3.jpg").read_bytes())
    diagnosis = diagnose(ImageFolder(str(birds)))
    pairs = {frozenset(finding.files) for finding in of(diagnosis, "leak")}
    assert pairs == {
        frozenset({"train/crow/0.jpg", "val/crow/same.jpg"}),
        frozenset({"train/wren/1.jpg", "val/wren/anew.jpg"}),
        frozenset({"train/crow/2.jpg", "val/crow/part.jpg"}),
    }
    assert files(diagnosis, "duplicate") == {"train/wren/3.jpg", "train/wren/twice.jpg"}
    # What measures is kept, and one of two.
    leaving = {"train/crow/0.jpg", "train/wren/1.jpg", "train/crow/2.jpg", "train/wren/twice.jpg"}
    assert set(diagnosis.leave_out()) == leaving
    assert not of(diagnose(ImageFolder(str(birds)), near=False), "near_splits")


def test_a_copy_with_another_label_is_told(birds: Path) -> None:
    (birds / "train/wren/crow.jpg").write_bytes((birds / "train/crow/0.jpg").read_bytes())
    (found,) = of(diagnose(ImageFolder(str(birds))), "duplicate")
    assert "labelled crow and wren" in found.text


def test_classes(birds: Path) -> None:
    for path in (birds / "val/wren").iterdir():
        path.unlink()
    diagnosis = diagnose(ImageFolder(str(birds)))
    (found,) = of(diagnosis, "class_missing")
    assert found.files == ("val",)
    assert found.text.endswith("the class wren")
    (birds / "train/owl").mkdir()
    assert files(diagnose(ImageFolder(str(birds))), "class_empty") == {"train/owl"}


def boxed(root: Path, boxes: list[tuple[int, int, int, int]], stem: str = "a", split: str = "train") -> None:
    save(root / f"JPEGImages/{stem}.jpg", scene(100 + ord(stem[0])))
    objects = "".join(
        f"<object><name>cell</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>"
        for a, b, c, d in boxes
    )
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / f"Annotations/{stem}.xml").write_text(f"<annotation>{objects}</annotation>")
    listed = root / f"ImageSets/Main/{split}.txt"
    listed.write_text((listed.read_text() if listed.is_file() else "") + f"{stem}\n")


def test_boxes_of_an_annotation(tmp_path: Path) -> None:
    boxed(tmp_path, [(10, 10, 50, 60), (10, 10, 50, 60), (0, 0, 202, 100), (0, 5, 203, 90)], "a")  # 200 x 150 pixels
    boxed(tmp_path, [], "c")
    boxed(tmp_path, [(5, 5, 5, 20), (5, 5, 20, 20)], "d")
    save(tmp_path / "JPEGImages/e.jpg", scene(77))
    diagnosis = diagnose(VOC(str(tmp_path)))
    assert files(diagnosis, "box_duplicate") == {"Annotations/a.xml, object 2"}
    assert files(diagnosis, "box_outside") == {"JPEGImages/a.jpg, box 3"}
    assert files(diagnosis, "box_edge") == {"JPEGImages/a.jpg, box 2"}
    assert files(diagnosis, "box_empty") == {"Annotations/d.xml, object 1"}
    assert files(diagnosis, "no_objects") == {"JPEGImages/c.jpg"}
    assert files(diagnosis, "label_missing") == {"JPEGImages/e.jpg"}
    assert len(diagnosis.findings) == 6
    assert diagnosis.box_sizes()[0].tolist() == [40, 50]
    (empty,) = of(diagnosis, "box_empty")
    assert empty.samples == (("train", 2),)  # so that its picture is shown


def test_boxes_of_records() -> None:
    rows = {  # in an image of 200 x 150 pixels, the last in one that could not be opened
        (10, 10, 50, 60): [], (0, 0, 202, 100): ["box_edge"], (0, 5, 203, 90): ["box_outside"],
        (-1, 0, 20, 20): ["box_edge"], (0, -9, 20, 20): ["box_outside"], (30, 30, 60, 153): ["box_outside"],
        (300, 10, 340, 40): ["box_outside"], (10, 400, 20, 420): ["box_outside"], (-30, 5, -2, 9): ["box_outside"],
        (60, 10, 40, 30): ["box_inverted"], (60, 10, 60, 30): ["box_empty"], (5, 5, 900, 9): [],
    }  # fmt: skip
    names = Strings([*(f"{number}.jpg" for number in range(len(rows))), "twice.jpg", "none.jpg"])
    boxes = np.asarray([*rows, (1, 1, 5, 5), (2, 2, 9, 9), (1, 1, 5, 5)], np.float32)
    start = np.asarray([*range(len(rows) + 1), len(boxes), len(boxes)])
    records = Records(
        images=np.zeros((len(names), 1, 1, 3), np.uint8), names=names, classes=Classes(boxes=("cell",)), boxes=boxes,
        box_label=np.zeros(len(boxes), int), box_ignore=np.zeros(len(boxes), bool), box_start=start,
    )  # fmt: skip
    heights, widths = np.full(len(names), 150), np.full(len(names), 200)
    heights[len(rows) - 1] = widths[len(rows) - 1] = 0
    found = list(labels.boxes(records, "train", heights, widths))
    codes: dict[str, list[str]] = {name: [] for name in names}
    for finding in found:
        codes[finding.files[0].split(", ")[0]].append(finding.code)
    assert [codes[f"{number}.jpg"] for number in range(len(rows))] == list(rows.values())
    assert codes["twice.jpg"] == ["box_duplicate"]
    assert codes["none.jpg"] == ["no_objects"]
    (outside,) = [finding for finding in found if finding.files == ("6.jpg, box 1",)]
    assert outside.text == "lies outside the image of 150 x 200 pixels (height x width) (x1 y1 x2 y2: 300 10 340 40)"
    assert outside.samples == (("train", 6),)
    assert outside.boxes == ((300, 10, 340, 40),)


def test_a_box_over_the_edge_is_told_once() -> None:
    said = [Finding("box_outside", ("a.json, annotation 7",), ""), Finding("box_empty", ("a.json, annotation 8",), "")]
    own = [Finding("box_edge", ("a.jpg, box 3",), ""), Finding("no_objects", ("b.jpg",), "")]
    assert labels.told_once(said, own) == [said[1], *own]
    assert labels.told_once(said, own[1:]) == [*said, own[1]]


def test_small_pictures_that_look_alike_are_no_copies(tmp_path: Path) -> None:
    digits = load_digits().images
    for split, number in (("train", 229), ("val", 396)):  # of 900, the two most alike
        image = (digits[number] * 15.9).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
        save(tmp_path / split / "a" / f"{number}.png", image)
    assert {finding.code for finding in diagnose(ImageFolder(str(tmp_path))).findings} == {"grey"}
    (tmp_path / "val/a/229.bmp").write_bytes(cv2.imencode(".bmp", opened(tmp_path / "train/a/229.png"))[1].tobytes())
    assert len(of(diagnose(ImageFolder(str(tmp_path))), "leak")) == 1


def masked(root: Path, seed: int, split: str = "train", **changed: object) -> None:
    save(root / f"images/{split}/{seed}.png", scene(seed))
    mask = np.zeros((150, 200), np.uint8)
    mask[20:60, 30:90] = 1
    for name, value in changed.items():
        mask = value if name == "mask" else mask  # type: ignore[assignment]
    save(root / f"masks/{split}/{seed}.png", mask)


def test_masks(tmp_path: Path) -> None:
    for seed in range(4):
        masked(tmp_path, seed)
    masked(tmp_path, 10, mask=np.zeros((150, 201), np.uint8))
    masked(tmp_path, 11, mask=np.full((150, 200), 7, np.uint8))
    masked(tmp_path, 12)
    whole = (tmp_path / "masks/train/12.png").read_bytes()
    (tmp_path / "masks/train/12.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "classes.txt").write_text("ground\nthing\nbird\n")
    diagnosis = diagnose(MaskFolder(str(tmp_path)))
    assert files(diagnosis, "mask_size") == {"masks/train/10.png"}
    assert files(diagnosis, "mask_value") == {"masks/train/11.png"}
    assert files(diagnosis, "mask_unreadable") == {"masks/train/12.png"}
    assert diagnosis.counts["train"]["mask"] == {"ground": 5, "thing": 4, "bird": 0}
    assert of(diagnosis, "class_missing")[0].text.endswith("the class bird")
    assert set(diagnosis.leave_out()) == {f"images/train/{seed}.png" for seed in (10, 11, 12)}


def test_the_page_needs_nothing_else(birds: Path) -> None:
    (birds / "train/wren/<b>.jpg").write_bytes(b"")
    (birds / "val/crow/same.jpg").write_bytes((birds / "train/crow/0.jpg").read_bytes())
    text = page.page(diagnose(ImageFolder(str(birds))), "doctor <mine>", [("augmented", scene(1))])
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>")
    assert "doctor &lt;mine&gt;" in text
    assert "&lt;b&gt;.jpg" in text
    assert "<b>" not in text
    for outside in ("href=", "url(", "<script", 'src="http', "<link"):
        assert outside not in text
    assert text.count("data:image/jpeg;base64,") >= 3
    assert "prefers-color-scheme: dark" in text
    for tag in ("section", "ul", "div", "figure", "table", "svg"):
        assert text.count(f"<{tag}") == text.count(f"</{tag}>"), tag


def test_every_kind_is_explained() -> None:
    for code, about in KINDS.items():
        assert about.level in LEVELS
        assert about.title
        assert about.advice.endswith(".")
        assert code.isidentifier()


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["doctor", *arguments])
    try:
        doctor.cli()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command(
    birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("data=image_folder", f"data.root={birds}", "workers=1")
    assert ended(monkeypatch, *given, "out=fine", "near=false") == 0
    assert "nothing was found" in capsys.readouterr().out
    (birds / "train/wren/1.jpg").write_bytes(b"")
    before = sorted((path, path.read_bytes()) for path in birds.rglob("*.jpg"))
    assert ended(monkeypatch, *given, "out=ill", "near=false", "fix=true", "preview=4", "data.size=64") == 1
    shown = capsys.readouterr().out
    assert "train/wren/1.jpg" in shown
    assert "data.leave_out=ill/leave_out.txt" in shown
    assert sorted((path, path.read_bytes()) for path in birds.rglob("*.jpg")) == before
    listed = (tmp_path / "ill/leave_out.txt").read_text().splitlines()
    assert [line for line in listed if not line.startswith("#")] == ["train/wren/1.jpg"]
    found = json.loads((tmp_path / "ill/doctor.json").read_text())
    assert found["levels"] == {"error": 1, "warning": 0, "note": 0}
    assert found["findings"][0]["code"] == "empty"
    assert cv2.imread(str(tmp_path / "ill/preview_classification.png")) is not None
    assert "Training samples, augmented" in (tmp_path / "ill/doctor.html").read_text()
    # Left out, it is gone from the next look.
    assert ended(monkeypatch, *given, "out=again", "near=false", "data.leave_out=ill/leave_out.txt") == 0


def test_two_processes_find_what_one_finds(birds: Path) -> None:
    from visionkit.data.selection.selection import Selection
    from visionkit.engine.doctor import examining

    for number in range(20, 60):
        save(birds / "train/crow" / f"{number}.jpg", scene(number, 40, 50))
    (birds / "val/crow/same.jpg").write_bytes((birds / "train/crow/40.jpg").read_bytes())
    reader = ImageFolder(str(birds))
    two = examining.examine(dict(Selection(reader)), reader.report, processes=2)
    assert two.findings == diagnose(ImageFolder(str(birds))).findings
    assert (two.scan.facts["digest"] == diagnose(ImageFolder(str(birds))).scan.facts["digest"]).all()
