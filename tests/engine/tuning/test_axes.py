"""Axes and curves: values land where they should, and nothing is drawn outside its field."""

from __future__ import annotations

import re

import pytest
from defusedxml import ElementTree

from visionkit.engine.html import DARK, LIGHT
from visionkit.engine.tuning.axes import Axis, Panel, picture

PANEL = Panel(100, 50, 200, 80, Axis(1e-2, 1e2, log=True), Axis(-1, 3))


def places(path: str) -> list[list[tuple[float, float]]]:
    """Return the points of a path's `d`, a list for each stretch that is drawn without lifting the pen."""
    (drawn,) = re.findall(r' d="([^"]*)"', path)
    parts = [re.findall(r"(-?[\d.]+) (-?[\d.]+)", part) for part in drawn.split("M")[1:]]
    return [[(float(x), float(y)) for x, y in part] for part in parts]


def test_values_lie_on_their_axes() -> None:
    assert PANEL.across(1e-2) == pytest.approx(100)
    assert PANEL.across(1) == pytest.approx(200)
    assert PANEL.across(10) == pytest.approx(250)
    assert PANEL.down(-1) == pytest.approx(130)
    assert PANEL.down(3) == pytest.approx(50)
    assert PANEL.down(2) == pytest.approx(70)


def test_a_curve_goes_through_its_points() -> None:
    assert places(PANEL.curve([(1e-2, -1), (1, 1), (100, 3)], "draw-a")) == [[(100, 130), (200, 90), (300, 50)]]


def test_a_curve_is_cut_where_it_leaves_the_field() -> None:
    # From 1 up to 5 at once: it leaves at 3, half-way; what lies above is not drawn; it comes back half-way down.
    drawn = places(PANEL.curve([(1e-2, 1), (1e-1, 5), (1, 9), (10, -3), (100, 1)], "draw-a"))
    assert drawn[0] == [(100, 90), (125, 50)]
    assert drawn[1] == [(225, 50), (pytest.approx(241.7), 130)]
    assert drawn[2] == [(275, 130), (300, 90)]
    assert len(drawn) == 3


def test_decades() -> None:
    assert next(iter(Axis(1e-6, 13, log=True).ticks())) == (1e-6, "10⁻⁶")
    assert [name for _, name in Axis(1e-2, 1e2, log=True).ticks()] == ["10⁻²", "10⁻¹", "1", "10¹", "10²"]
    assert [name for _, name in Axis(0.02, 99, log=True).ticks()] == ["10⁻¹", "1", "10¹"]
    minor = list(Axis(0.5, 30, log=True).minor())
    assert minor == pytest.approx([0.6, 0.7, 0.8, 0.9, 2, 3, 4, 5, 6, 7, 8, 9, 20])


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0, 250, ["0", "50", "100", "150", "200", "250"]),
        (2.55, 4.4, ["3", "3.5", "4"]),
        (-0.3, 0.3, ["-0.3", "-0.2", "-0.1", "0", "0.1", "0.2", "0.3"]),
    ],
)
def test_round_steps(low: float, high: float, names: list[str]) -> None:
    assert [name for _, name in Axis(low, high).ticks()] == names


def test_words_stay_in_the_picture() -> None:
    (_, right) = PANEL.mark(90, "b", "configured 90", ends=False, dashed=True)
    assert 'text-anchor="end"' in right
    (_, left) = PANEL.mark(0.011, "b", "configured 0.011", ends=True, dashed=True)
    assert 'text-anchor="start"' in left


def test_a_picture_is_a_file_of_its_own() -> None:
    drawn = picture(300, 200, [*PANEL.frame("rate", "loss < 1"), *PANEL.band(10, 100, "gone")], "A & B")
    root = ElementTree.fromstring(drawn)
    assert root.attrib["aria-label"] == "A & B"
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"rate", "loss < 1", "10⁻¹", "gone"} <= set(texts)
    assert "var(" not in drawn
    light, dark = drawn.split("@media (prefers-color-scheme: dark)")
    for name in LIGHT:
        assert f".fill-{name} {{ fill: {LIGHT[name]}; }}" in light
        assert f".fill-{name} {{ fill: {DARK[name]}; }}" in dark
