"""What slow tests share: an environment with nothing but the wheel in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.slow.fresh import Fresh


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """A fresh environment with the wheel of this checkout; made once, a minute and 6 GB, and removed afterwards."""
    if os.environ.get("VISIONKIT_OFFLINE"):
        pytest.skip("VISIONKIT_OFFLINE is set: nothing can be installed into a fresh environment")
    folder = tmp_path_factory.mktemp("fresh")
    try:
        yield Fresh(folder)
    finally:
        shutil.rmtree(folder)
