from __future__ import annotations

import pickle

import pytest

from visionkit.data.strings import Strings


def test_strings_come_back() -> None:
    given = ["a", "", "Grüße/日本.jpg", "b c,d=e(1)"]
    packed = Strings(given)
    assert list(packed) == given
    assert len(packed) == 4
    assert packed[-1] == given[-1]
    assert list(pickle.loads(pickle.dumps(packed))) == given
    assert list(Strings([])) == []


def test_they_can_be_made_of_arrays() -> None:
    packed = Strings(["ab", "", "ü"])
    assert packed.start.tolist() == [0, 2, 2, 4]
    again = Strings.of(packed.blob, packed.start)
    assert list(again) == ["ab", "", "ü"]
    assert again.blob is packed.blob


@pytest.mark.parametrize("index", [2, -3])
def test_index_outside_raises(index: int) -> None:
    with pytest.raises(IndexError):
        Strings(["a", "b"])[index]


def test_undecodable_file_names_survive() -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert Strings([name])[0] == name
