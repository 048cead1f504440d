"""Read one annotation file of Pascal VOC."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ElementTree, ParseError

import defusedxml.ElementTree
import numpy as np
from defusedxml.common import DefusedXmlException
from numpy.typing import NDArray

from visionkit.data.formats.box_checks import sound_boxes
from visionkit.data.report import Report

SIDES = ("xmin", "ymin", "xmax", "ymax")


class Annotation(NamedTuple):
    """The n objects of one image."""

    names: tuple[str, ...]
    boxes: NDArray[np.float32]  # (n, 4), x1 y1 x2 y2 in pixels
    difficult: NDArray[np.bool_]  # (n,)


def read_annotation(path: Path, report: Report) -> Annotation | None:
    """Return the objects of a file, or None where one cannot be read: the image would teach that it is not there.

    Entities are refused, not expanded. Boxes of no area, inverted and repeated ones are left out with a warning.
    """
    try:
        tree = defusedxml.ElementTree.parse(path)
    except OSError as error:
        report.error(
            "label_missing", path, f"cannot be read ({error.strerror}); every listed image needs its annotation"
        )
        return None
    except ParseError as error:
        report.error(
            "bad_annotation",
            f"{path}, line {error.position[0]}",
            f"is no valid XML ({error}); repair the file, or remove it with its image",
        )
        return None
    except DefusedXmlException as error:
        report.error("bad_annotation", path, f"is no valid XML ({error}); repair the file, or remove it with its image")
        return None
    elements = list(tree.iter("object"))
    found = [_object(f"{path}, object {number}", element, report) for number, element in enumerate(elements, 1)]
    objects = [item for item in found if item is not None]
    if len(objects) < len(found):
        return None
    names = np.asarray([name for name, _ in objects], dtype=np.str_)
    boxes = np.asarray([box for _, box in objects], dtype=np.float64).reshape(-1, 4)
    difficult = np.asarray([_flag(element.findtext("difficult")) for element in elements], dtype=bool)
    labels = np.unique(names, return_inverse=True)[1].astype(np.int64)
    keep = sound_boxes(boxes, labels, _size(tree), lambda row: f"{path}, object {row + 1}", report)
    return Annotation(tuple(names[keep].tolist()), boxes[keep].astype(np.float32), difficult[keep])


def _object(where: str, element: Element, report: Report) -> tuple[str, list[float]] | None:
    name = (element.findtext("name") or "").strip()
    if not name:
        report.error("bad_annotation", where, "has no <name>; every object needs its class")
        return None
    texts = {side: element.findtext(f"bndbox/{side}") for side in SIDES}
    numbers = {side: _number(text) for side, text in texts.items()}
    if wrong := [side for side, number in numbers.items() if not math.isfinite(number)]:
        report.error(
            "bad_annotation", where, f"{name!r} has <{wrong[0]}> {texts[wrong[0]]!r}; a number of pixels is needed"
        )
        return None
    return name, list(numbers.values())


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return math.nan


def _flag(text: str | None) -> bool:
    return (text or "0").strip() not in ("0", "")


def _size(tree: ElementTree[Any]) -> tuple[int, int] | None:
    """Return height and width as the file says them, or None: some tools write 0."""
    height, width = (_number(tree.findtext(f"size/{side}")) for side in ("height", "width"))
    return (int(height), int(width)) if 0 < height < math.inf and 0 < width < math.inf else None
