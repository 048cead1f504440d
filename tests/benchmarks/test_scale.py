"""The file that is measured is one that COCO's own library reads, and the measure sees memory that grows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import coco

from benchmarks import scale
from benchmarks.coco_file import HEIGHT, WIDTH, write_coco


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path, images=40, boxes=300)
    return tmp_path


def test_the_file_is_like_real_ones(root: Path) -> None:
    path = root / "annotations" / "instances_train.json"
    found = coco.COCO(path)
    assert (len(found.imgs), len(found.anns), len(found.cats)) == (40, 300, 80)
    assert 400 < path.stat().st_size / 300 < 700
    for item in json.loads(path.read_text())["annotations"][:20]:
        x, y, w, h = item["bbox"]
        assert 0 <= x < x + w <= WIDTH + 0.01
        assert 0 <= y < y + h <= HEIGHT + 0.01
        assert found.annToMask(item).sum() == pytest.approx(item["area"], rel=0.15, abs=40)


def test_both_see_every_box(root: Path) -> None:
    measured, records = scale.opened(root)
    assert 25 < measured.bytes_a_box < 28
    reference = coco.COCO(root / "annotations" / "instances_train.json")
    expected = np.asarray([item["bbox"] for item in reference.anns.values()])
    expected[:, 2:] += expected[:, :2]
    assert records.boxes is not None
    assert records.boxes.sum() == pytest.approx(expected.sum(), rel=1e-5)
    names = sum(map(len, records.names))
    labels = 0 if records.box_label is None else int(records.box_label.sum())
    assert scale.AllBoxes(records)() == pytest.approx(records.boxes.sum() + labels + names, rel=1e-5)


def test_memory_that_grows_is_seen() -> None:
    held = []

    def grow() -> None:
        held.append(np.ones(8 * scale.MIB, dtype=np.uint8))

    assert 7.5 < scale.in_workers("fork", grow) < 12
    assert scale.in_workers("fork", lambda: None) < 1
