"""The comparison of published weights counts what it says."""

from __future__ import annotations

import pytest

from benchmarks.transfer import sign_test


def test_the_sign_test_counts_images_that_only_one_gets_right() -> None:
    first = [[True, True, False, False], [True, False, False, False]]
    second = [[True, False, True, True], [True, True, True, True]]
    # Five are won and one is lost: 2 (C(6, 0) + C(6, 1)) / 2^6
    assert sign_test(first, second) == (5, 1, pytest.approx(14 / 64))
    assert sign_test(second, first) == (1, 5, pytest.approx(14 / 64))
    assert sign_test(first, first) == (0, 0, 1.0)
