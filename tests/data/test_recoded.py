from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from visionkit.data.pictures.files import MaskFiles
from visionkit.data.pixels import in_memory, path_of, take
from visionkit.data.selection.recoded import Recoded

Write = Callable[..., Path]


def test_values_are_replaced_when_asked_for(tmp_path: Path, write: Write) -> None:
    picture = np.asarray([[0, 1, 2], [255, 2, 0]], dtype=np.uint8)
    path = write("m.png", picture)
    values = np.full(256, 255, dtype=np.uint8)
    values[[0, 1, 2]] = [1, 255, 0]
    masks = Recoded(MaskFiles(tmp_path, ["m.png"], 3), values)
    assert len(masks) == 1
    assert masks[0].tolist() == [[1, 255, 0], [255, 0, 1]]
    assert masks[0].dtype == np.uint8
    assert not in_memory(masks)
    assert path_of(masks, 0) == path_of(take(masks, np.asarray([0])), 0) == path


def test_each_picture_may_have_values_of_its_own() -> None:
    source = np.asarray([[[0, 1]], [[2, 0]]], dtype=np.uint8)
    values, start = np.asarray([0, 7, 0, 5, 6], dtype=np.uint16), np.asarray([0, 2, 5])
    maps = Recoded(source, values, start)
    assert [maps[index].tolist() for index in range(2)] == [[[0, 7]], [[6, 0]]]
    assert take(maps, np.asarray([1]))[0].tolist() == [[6, 0]]
    assert in_memory(maps)
    assert path_of(maps, 0) is None
