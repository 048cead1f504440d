"""Find the images and class names of a data set in YOLO's format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from visionkit.config.values import SPLITS
from visionkit.data.formats import listing
from visionkit.data.reader import UNSPLIT
from visionkit.data.report import Report
from visionkit.errors import DataError

LAYOUTS: Final = (
    "data.yaml that names train and val, or images/{train,val}/* with labels/{train,val}/*.txt, or "
    "{train,valid}/images/* with {train,valid}/labels/*.txt, or images/* with labels/*.txt without splits"
)

NAME_LISTS: Final = ("classes.txt", "labels/classes.txt", "obj.names")
"""Where class names may stand, one a line, in a data set without data.yaml."""


class Source(NamedTuple):
    """A folder of images, or a list of them, relative to the root."""

    path: str
    where: str


class Layout(NamedTuple):
    """What belongs to which split."""

    names: tuple[str, ...] | None  # None: classes are numbers
    sources: dict[str, tuple[Source, ...]]  # by split, or by that of `UNSPLIT`


def find_layout(root: Path, report: Report) -> Layout:
    """Return the layout that data.yaml says or the folders show. Raises DataError when there is none."""
    listing.require_root(root, LAYOUTS)
    path = _config(root)
    if path is not None:
        return _described(root, path, report)
    sources = {}
    for split in SPLITS:
        places = [place for name in listing.SPLIT_FOLDERS[split] for place in (f"images/{name}", f"{name}/images")]
        if found := tuple(Source(place, str(root / place)) for place in places if (root / place).is_dir()):
            sources[split] = found
    if not sources and (root / "images").is_dir():
        sources[UNSPLIT[0]] = (Source("images", str(root / "images")),)
    if not sources:
        raise DataError(f"{root}: has no data.yaml and no folder images; lay it out as {LAYOUTS}")
    listed = next((root / name for name in NAME_LISTS if (root / name).is_file()), None)
    return Layout(_lines(listed) if listed else None, sources)


def image_paths(root: Path, source: Source, report: Report) -> list[str]:
    """Return the images of a folder, by code point and from its folders too, or those of a list, in its order."""
    path = root / source.path
    if path.is_dir():
        found = [entry.relative_to(root) for entry in path.rglob("*") if entry.suffix.lower() in listing.IMAGE_SUFFIXES]
        visible = [name for name in found if not name.name.startswith(".") and (root / name).is_file()]
        return sorted(name.as_posix() for name in visible)
    names = []
    for number, line in enumerate(listing.text(path).splitlines(), start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        name = _existing(root, Path(source.path).parent.as_posix(), line.strip())
        if name is not None and (root / name).is_file():
            names.append(name)
        elif listing.inside(root, line.strip(), where, report) is not None:
            report.error("image_missing", where, f"lists {line.strip()!r}, which is no file below {root}")
    return names


def label_path(image: str) -> str:
    """Return the path of an image's labels: the last folder `images` becomes `labels`, else they lie beside it."""
    parts = list(Path(image).with_suffix(".txt").parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return "/".join(parts)


def _config(root: Path) -> Path | None:
    for name in ("data.yaml", "data.yml", "dataset.yaml"):
        if (root / name).is_file():
            return root / name
    found = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{root}: holds {names}; call the one that describes the data data.yaml")
    return next(iter(found), None)


def _described(root: Path, path: Path, report: Report) -> Layout:
    try:
        config = yaml.safe_load(listing.text(path))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise DataError(f"{path}{line}: is no valid YAML ({error.problem}); repair the file") from error
    except yaml.YAMLError as error:
        raise DataError(f"{path}: is no valid YAML ({error}); repair the file") from error
    if not isinstance(config, dict):
        raise DataError(f"{path}: holds no keys; it needs names, train and val")
    base = config.get("path") or ""
    named = [split for split in SPLITS if config.get(split)]
    found = {split: tuple(_sources(root, path, str(base), split, config[split], report)) for split in named}
    sources = {split: places for split, places in found.items() if places}
    if not sources:
        raise DataError(f"{path}: names none of train, val and test; add train: images/train and val: images/val")
    return Layout(_names(path, config), sources)


def _names(path: Path, config: dict[Any, Any]) -> tuple[str, ...] | None:
    names, count = config.get("names"), config.get("nc")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f"{path}: names has the numbers {list(names)}; they go from 0 to {len(names) - 1}")
        names = [names[number] for number in range(len(names))]
    if names is None and (count is None or type(count) is int):
        return None if count is None else tuple(str(number) for number in range(count))
    if not isinstance(names, list) or not names:
        raise DataError(f"{path}: names is {names!r}; write a list, or the name behind each number")
    if isinstance(count, int) and count != len(names):
        raise DataError(f"{path}: nc is {count}, but there are {len(names)} names; correct one of them")
    return tuple(str(name) for name in names)


def _sources(root: Path, path: Path, base: str, split: str, given: Any, report: Report) -> Iterator[Source]:
    where = f"{path}, {split}"
    for text in map(str, given if isinstance(given, list) else [given]):
        beside = text.removeprefix("../")  # Roboflow writes ../train/images for a folder beside data.yaml
        name = _existing(root, base, text) or _existing(root, base, beside)
        if name is not None and ((root / name).is_dir() or name.endswith(".txt")):
            yield Source(name, where)
        elif split == "test" and name is None and listing.inside(root, beside, where, Report(lenient=True)):
            report.warning("split_missing", where, "the split names a folder that is not there and is left out")
        elif listing.inside(root, text, where, report) is not None:
            raise DataError(f"{where}: {text!r} is neither a folder nor a .txt list below {root}; correct the path")


def _existing(root: Path, base: str, text: str) -> str | None:
    """Return the path relative to the root of what is there, from `base` or from the root on, or None."""
    absolute = root.absolute()
    name, start = (
        Path(part).relative_to(absolute).as_posix() if Path(part).is_relative_to(absolute) else part.replace("\\", "/")
        for part in (text, base)
    )
    for candidate in (f"{start}/{name}", name) if start else (name,):
        found = listing.inside(root, candidate, root, Report(lenient=True))
        if found is not None and (root / found).exists():
            return found
    return None


def _lines(path: Path) -> tuple[str, ...]:
    return tuple(line.strip() for line in listing.text(path).splitlines() if line.strip())
