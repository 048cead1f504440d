from __future__ import annotations

import gc

import pytest

from visionkit.config import command
from visionkit.config.command import swift_imports


def test_garbage_is_looked_for_again_after_importing() -> None:
    frozen = gc.get_freeze_count()
    with swift_imports():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), swift_imports():
        import visionkit.no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen  # few imports: what is garbage by now has to be found


def test_many_imports_are_left_out_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MANY", -1)
    frozen = gc.get_freeze_count()
    try:
        with swift_imports():
            pass
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
