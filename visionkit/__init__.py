"""Train, evaluate and ship convolutional networks for classification, detection and segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visionkit.engine.loading import load

    __version__: str

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Hand out `load` without importing torch before it is asked for, and the installed version."""
    if name == "load":
        from visionkit.engine.loading import load

        return load
    if name == "__version__":
        from importlib.metadata import version

        return version("visionkit")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
