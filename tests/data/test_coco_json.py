"""What is wrong with a whole file is said with its place in it."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from tests.data.coco_set import content
from visionkit.data.formats.coco.annotations import decode
from visionkit.errors import DataError


def test_segmentations_stay_bytes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content(), indent=1))
    found, text = decode(path)
    assert [category.name for category in found.categories] == ["dog", "cat"]
    assert found.images[0].file_name == "b.png"
    assert found.annotations[1].bbox == [4, 4, 2, 2.5]
    segmentation = bytes(found.annotations[2].segmentation)
    assert json.loads(segmentation) == content()["annotations"][2]["segmentation"]
    assert segmentation in bytes(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [],\n "annotations": [}', r"a\.json, line 2, column 18: is no valid JSON"),
        ('{"images": []', r"line 1, column 14: is no valid JSON .*truncated"),
        ('{"images": NaN}', r"line 1, column 12: is no valid JSON"),
        ("", r"a\.json: cannot be read .*empty"),
        ("[]", r"Expected `object`, got `array`; a COCO file holds"),
        ('{"images": [], "annotations": []}', r"missing required field `categories`"),
        ('{"images": [{"id": 1}]}', r"missing required field `file_name` - at `\$\.images\[0\]`"),
        ('{"images": [{"id": "1", "file_name": "a"}]}', r"got `str` - at `\$\.images\[0\]\.id`"),
        ('{"images": [{"id": 1, "file_name": "a", "height": -3}]}', r">= 0 - at `\$\.images\[0\]\.height`"),
        (
            '{"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, "3", 4]}]}',
            r"got `str` - at `\$\.annotations\[0\]\.bbox\[2\]`",
        ),
        ('{"annotations": [{"id": 99999999999999999999, "image_id": 1}]}', r"at `\$\.annotations\[0\]\.id`"),
        ('{"annotations": [{"segmentation": ' + "[" * 100_000, r"maximum recursion depth"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        decode(path)
    assert gc.isenabled()


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"images": [{"id": 1, "file_name": "\xff"}]}')
    with pytest.raises(DataError, match=r"a\.json"):
        decode(path)
    with pytest.raises(DataError, match="cannot be read"):
        decode(tmp_path / "none.json")
