"""What tuning saw is drawn where it belongs."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree

from visionkit.engine.tuning.drawing import batch_sizes, range_test
from visionkit.engine.tuning.rule import Curve, rates, suggest
from visionkit.engine.tuning.sizes import Row

GB = 2**30
SVG = "{http://www.w3.org/2000/svg}"


class Mark(NamedTuple):
    x: float
    words: str


def test_the_range_test() -> None:
    losses = [3.0] * 60 + [3.0 - 0.1 * step for step in range(16)] + [2.0] * 10 + [50.0]
    curve = Curve(rates()[: len(losses)], tuple(losses), 3.0, rates()[len(losses) - 1])
    found = suggest(curve)
    root = ElementTree.fromstring(range_test(curve, found, 0.01, 0.05, "digits"))
    ticks = decades(root)
    marks = {mark.words: mark.x for mark in upright(root)}
    assert marks["suggested 0.01"] == pytest.approx(ticks["10⁻²"], abs=0.2)
    assert marks["configured 0.05"] == pytest.approx(ticks["10⁻²"] + 0.699 * (ticks["10⁻¹"] - ticks["10⁻²"]), abs=0.2)
    (dot,) = root.iter(f"{SVG}circle")
    lowest = 0.1 * 10 ** ((found.lowest - 75) / 15)
    assert float(dot.attrib["cx"]) == pytest.approx(across(ticks, lowest), abs=0.3)
    (band,) = [r for r in root.iter(f"{SVG}rect") if r.attrib["class"] == "fill-band"]
    assert float(band.attrib["x"]) == pytest.approx(across(ticks, curve.rates[-1]), abs=0.3)
    raw, smoothed = (
        line.attrib["d"]
        for line in root.iter(f"{SVG}path")
        if "draw-a" in line.attrib["class"] and "L" in line.attrib["d"]
    )
    assert raw.count("L") == smoothed.count("L") or raw.count("L") > 80  # a point a step
    heights = [float(y) for y in re.findall(r" ([\d.]+)", raw)]
    frame = [
        float(p.attrib["d"].partition(" ")[2].partition("H")[0])
        for p in root.iter(f"{SVG}path")
        if "H" in p.attrib["d"]
    ]
    assert max(heights) < max(frame)  # the lowest loss lies above the axis
    assert min(heights) >= 142  # and the one of 50 is cut off at the top
    assert "suggested 0.01, configured 0.05" in root.attrib["aria-label"]


def test_a_test_that_saw_nothing() -> None:
    curve = Curve(rates()[:3], (2.0, 2.0, 2.0), 2.0, None)
    root = ElementTree.fromstring(range_test(curve, suggest(curve), None, 0.05, "a & b"))
    assert [mark.words for mark in upright(root)] == ["configured 0.05"]
    assert "no suggestion" in root.attrib["aria-label"]


def test_batch_sizes() -> None:
    rows = [Row(2, 100.0, GB), Row(4, 180.0, GB), Row(8, 200.0, 2 * GB)]
    drawn = batch_sizes(rows, 8, 4, limit=2 * GB, failed=16, title="digits")
    root = ElementTree.fromstring(drawn)
    marks = {mark.words: mark.x for mark in upright(root)}
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in root.iter(f"{SVG}circle")]
    assert marks["configured 4"] == pytest.approx(dots[1][0], abs=0.2)
    assert marks["suggested 8"] == pytest.approx(dots[2][0], abs=0.2)
    assert dots[1][0] - dots[0][0] == pytest.approx(dots[2][0] - dots[1][0], abs=0.2)  # a doubling is a step
    # Both fields begin at 0: 328 and 506 are their lower edges.
    assert [328 - y for _, y in dots[:3]] == pytest.approx(
        [(328 - dots[2][1]) * speed / 200 for speed in (100, 180, 200)], abs=0.2
    )
    assert [506 - y for _, y in dots[3:]] == pytest.approx(
        [(506 - dots[5][1]) * used / 2 for used in (1, 1, 2)], abs=0.2
    )
    assert drawn.count("does not fit") == 1
    assert drawn.count('fill-band"') == 2
    assert ">limit<" in drawn
    assert ">limit<" not in batch_sizes(rows, 8, 4, limit=9 * GB, failed=None, title="digits")


def decades(root: Element) -> dict[str, float]:
    """Return where the names below the horizontal axis lie."""
    return {str(t.text): float(t.attrib["x"]) for t in root.iter(f"{SVG}text") if str(t.text).startswith("10")}


def across(ticks: dict[str, float], rate: float) -> float:
    import math

    return ticks["10⁻²"] + (math.log10(rate) + 2) * (ticks["10⁻¹"] - ticks["10⁻²"])


def upright(root: Element) -> list[Mark]:
    """Return the marked values: the upright line that stands before each bold name."""
    elements = list(root)
    return [
        Mark(float(elements[place - 1].attrib["d"][1:].partition(" ")[0]), str(element.text))
        for place, element in enumerate(elements)
        if element.attrib.get("font-weight") == "600"
    ]
