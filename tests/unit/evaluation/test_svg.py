"""Drawing primitives: escaped, scaled, with round numbers on the axes."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation.svg import Scale, element, figure, text, ticks


def test_children_and_attributes_are_escaped() -> None:
    drawn = element("text", "<script>1</script>", class_='a"b', stroke_width=1.234)
    assert str(drawn) == '<text class="a&#34;b" stroke-width="1.23">&lt;script&gt;1&lt;/script&gt;</text>'


def test_elements_nest_without_being_escaped_twice() -> None:
    assert str(element("g", element("a", "&"))) == "<g><a>&amp;</a></g>"


def test_a_figure_names_and_describes_itself() -> None:
    root = ElementTree.fromstring(figure("loss", "Loss", "It falls.", (10, 5), text(0, 0, "x", "tick")))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "loss-title loss-desc"
    assert [child.text for child in root] == ["Loss", "It falls.", "x"]
    assert [child.attrib.get("id") for child in root][:2] == ["loss-title", "loss-desc"]


def test_scales_map_ends_to_ends() -> None:
    scale = Scale(10, 20, 100, 0)
    assert [scale(10), scale(15), scale(20)] == [100, 50, 0]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 4, [0, 1, 2, 3, 4]),
        (0.77, 1, [0.8, 0.85, 0.9, 0.95, 1]),
        (0, 3_000, [0, 1_000, 2_000, 3_000]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6))
def test_ticks_rise_and_stay_inside(low: float, width: float) -> None:
    high = low + width
    found = ticks(low, high)
    assert len(found) <= 7
    assert all(first < second for first, second in pairwise(found))
    assert all(low - 1e-3 * width <= value <= high + 1e-3 * width for value in found)
