"""What cells say as text and as labels."""

from __future__ import annotations

import math

import pytest

from tunesmith.data.cells import CellError, label_of, sorted_labels, text_of


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (math.nan, None),
        (math.inf, "inf"),
        (None, None),
        ("", None),
        ("  ", None),
        ("Sport ", "Sport "),
        ("a, b", "a, b"),
        ("🙂", "🙂"),
        ("1.0", "1.0"),
        (["a"], "a"),
        ([1.0], "1"),
        ([], None),
        ([None], None),
    ],
)
def test_label_of(cell: object, label: str | None) -> None:
    assert label_of(cell) == label


@pytest.mark.parametrize(
    ("cell", "code"), [(["a", "b"], "several-labels"), ({"a": 1}, "bad-cell"), (b"a", "bad-cell")]
)
def test_what_is_no_label_is_refused(cell: object, code: str) -> None:
    with pytest.raises(CellError) as caught:
        label_of(cell)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, None), ("", None), (" ", " "), (math.nan, None), (7, "7"), (1.5, "1.5"), (" a ", " a ")],
)
def test_text_of(cell: object, text: str | None) -> None:
    assert text_of(cell) == text


@pytest.mark.parametrize("cell", [["a"], {"a": 1}, b"a"])
def test_what_is_no_text_is_refused(cell: object) -> None:
    with pytest.raises(CellError, match="not a text"):
        text_of(cell)


@pytest.mark.parametrize(
    ("labels", "in_order"),
    [
        (["10", "9", "1", "9"], ("1", "9", "10")),
        (["b", "a", "10", "9"], ("10", "9", "a", "b")),
        (["2", "-1"], ("-1", "2")),
        (["9" * 5000, "1"], ("1", "9" * 5000)),
        ([], ()),
    ],
)
def test_labels_are_sorted(labels: list[str], in_order: tuple[str, ...]) -> None:
    assert sorted_labels(labels) == in_order
