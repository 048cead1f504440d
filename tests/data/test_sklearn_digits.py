from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from visionkit.data.embedded.sklearn_digits import SklearnDigits
from visionkit.errors import ConfigError, DataError


def test_protocol_is_scikit_learns() -> None:
    reader = SklearnDigits(scale=1)
    parts = {split: reader.read(split) for split in reader.splits()}
    assert {split: len(part) for split, part in parts.items()} == {"train": 809, "val": 89, "test": 899}
    digits = load_digits()
    test, val = parts["test"], parts["val"]
    assert test.labels is not None
    assert val.labels is not None
    assert np.array_equal(test.labels, digits.target[898:])
    assert np.array_equal(np.asarray(test.images)[:, :, :, 1], np.rint(digits.images[898:] * 255 / 16).astype(np.uint8))
    assert np.array_equal(val.labels, digits.target[9:898:10])
    assert [val.names[0], val.names[1]] == ["digit_0009", "digit_0019"]
    names = [set(part.names) for part in parts.values()]
    assert len(set().union(*names)) == sum(map(len, names)) == 1797
    assert test.classes.labels == tuple("0123456789")


def test_enlarging_is_exact() -> None:
    small, large = (np.asarray(SklearnDigits(scale).read("val").images) for scale in (1, 4))
    assert large.shape == (89, 32, 32, 3)
    assert np.array_equal(large, np.kron(small, np.ones((1, 4, 4, 1), dtype=np.uint8)))
    assert large.max() == 255


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="scale=0"):
        SklearnDigits(0)
    with pytest.raises(DataError, match="no split 'dev'"):
        SklearnDigits().read("dev")
