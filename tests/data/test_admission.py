"""Samples are left out by a list, or because their files are no pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import Write, paint
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.data.records import Records
from visionkit.data.selection import admission
from visionkit.data.selection.admission import Admitted, checked, read_list
from visionkit.data.selection.selection import Selection
from visionkit.data.skipping import Skipped
from visionkit.errors import ConfigError, DataError


@pytest.fixture
def root(write: Write, tmp_path: Path) -> Path:
    """Class folders without splits."""
    for number in range(20):
        write(f"data/{'ab'[number % 2]}/{number:02}.png", paint(6, 7, number))
    return tmp_path / "data"


def admitted(root: Path, leave_out: frozenset[str] = frozenset(), skipped: Skipped | None = None) -> Admitted:
    reader = ImageFolder(str(root))
    return Admitted(Selection(reader), reader.report, leave_out, skipped)


def names(records: Admitted) -> dict[str, list[str]]:
    return {split: list(part.names) for split, part in records.items()}


def test_by_default_all_are_there(root: Path) -> None:
    assert names(admitted(root)) == names(Selection(ImageFolder(str(root))))  # type: ignore[arg-type]


def test_a_list_leaves_out_and_moves_none_to_another_split(root: Path, tmp_path: Path) -> None:
    before = names(admitted(root))
    gone = [before["train"][3], before["val"][0]]
    listed = tmp_path / "list.txt"
    listed.write_text("# why\n" + "\n".join(gone) + "\n\nnot/there.png\n")
    after = names(admitted(root, read_list(str(listed))))
    assert after == {split: [name for name in found if name not in gone] for split, found in before.items()}
    part = admitted(root, frozenset(gone))["train"]
    assert part.labels is not None
    assert part.labels.tolist() == [0 if name.startswith("a/") else 1 for name in part.names]


def test_a_list_that_leaves_nothing_is_an_error(root: Path) -> None:
    with pytest.raises(DataError, match="nothing is left of the split val"):
        admitted(root, frozenset(names(admitted(root))["val"]))["val"]


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    assert read_list(None) == frozenset()
    with pytest.raises(ConfigError, match=r"data\.leave_out=.*none\.txt"):
        read_list(str(tmp_path / "none.txt"))


def test_files_that_are_no_pictures_are_skipped_at_the_start(root: Path) -> None:
    before = names(admitted(root))
    empty, text, cut = (root / name for name in before["train"][:3])
    empty.write_bytes(b"")
    text.write_text("no picture")
    cut.write_bytes(cut.read_bytes()[:50])  # begins like one: only decoding tells
    skipped = Skipped()
    after = names(admitted(root, skipped=skipped))
    assert after == {**before, "train": before["train"][2:]}
    assert [said.partition(": ")[0] for said in skipped.entries()] == [str(empty), str(text)]
    assert names(admitted(root)) == before


def test_what_the_reader_leaves_out_is_noted(root: Path) -> None:
    (root / "zebra").mkdir()
    with pytest.raises(DataError, match="zebra"):
        dict(admitted(root))
    skipped = Skipped()
    dict(admitted(root, skipped=skipped))
    assert skipped.entries()[0].startswith(f"{root / 'zebra'}: holds no images")


def test_formats_of_a_readers_own_are_no_false_alarm(root: Path) -> None:
    class Arrays:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int, /) -> np.ndarray:
            return np.zeros((4, 4, 3), np.uint8)

        def path(self, index: int) -> Path:
            return root / "raw.npy"

    (root / "raw.npy").write_bytes(b"no format that is known")
    part = next(iter(admitted(root).values()))
    one = Records(
        images=Arrays(), names=part.take(np.asarray([0])).names, classes=part.classes, labels=np.zeros(1, int)
    )
    assert admission.unusable(one, 0) == ""


def test_as_many_are_looked_at_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "CHECKED", 5)
    assert list(checked(4)) == [0, 1, 2, 3]
    assert list(checked(101)) == [0, 25, 50, 75, 100]
