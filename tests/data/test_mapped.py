from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from visionkit.data.mapped import Mapped


@pytest.fixture
def mapped(tmp_path: Path) -> Mapped:
    np.save(tmp_path / "a.npy", np.arange(100_000).reshape(-1, 4))
    return Mapped.open(tmp_path / "a.npy")


def test_it_is_sent_by_name(mapped: Mapped) -> None:
    sent = pickle.dumps(mapped)
    assert len(sent) < 500
    again = pickle.loads(sent)
    assert isinstance(again, Mapped)
    assert np.array_equal(again, mapped)
    assert not again.flags.writeable


def test_what_is_made_from_it_is_sent_as_it_is(mapped: Mapped) -> None:
    for part in (mapped[5:9], mapped[[3, 1]], mapped.reshape(-1), mapped.T, mapped.copy(), mapped + 1, mapped.view()):
        again = pickle.loads(pickle.dumps(part))
        assert again.shape == part.shape
        assert np.array_equal(again, part)
    assert type(mapped[5:9]) is np.ndarray
    assert type(mapped[[3, 1]]) is np.ndarray
    assert isinstance(mapped[3, 1], np.int64)


def test_nothing_is_copied(mapped: Mapped) -> None:
    assert np.shares_memory(mapped, mapped[5:9])
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 1


def test_no_array(tmp_path: Path) -> None:
    (tmp_path / "b.npy").write_bytes(b"not one")
    with pytest.raises(ValueError, match=r"pickle|magic|allow_pickle"):
        Mapped.open(tmp_path / "b.npy")
    with pytest.raises(FileNotFoundError):
        Mapped.open(tmp_path / "c.npy")
