"""Tell what a file of an image holds from its first bytes, whatever its name says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_STARTS: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    *((b"P%d" % number, "PPM") for number in range(1, 7)),
)

SUFFIXES: Final = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
    "WEBP": {".webp"},
}
"""The extensions of each format."""


def signature(begins: bytes) -> str | None:
    """Return the format that a file's first 12 bytes tell, a key of `SUFFIXES`, or None for none that we know."""
    if begins[:4] == b"RIFF" and begins[8:12] == b"WEBP":
        return "WEBP"
    return next((name for start, name in _STARTS if begins.startswith(start)), None)


def belongs(path: Path, form: str) -> bool:
    """Return whether a file's extension is one of a format's, or says nothing about formats."""
    suffix = path.suffix.lower()
    return suffix in SUFFIXES[form] or not any(suffix in known for known in SUFFIXES.values())


def suspicion(path: Path) -> str:
    """Return why a file is certainly no picture (missing, empty), or may be none (no format that we know), else ""."""
    try:
        with path.open("rb") as file:
            begins = file.read(12)
    except OSError as error:
        return "missing" if isinstance(error, FileNotFoundError) else "unreadable"
    return "empty" if not begins else "" if signature(begins) else "unreadable"
