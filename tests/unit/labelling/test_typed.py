"""What may be typed for a label."""

from __future__ import annotations

import pytest

from tunesmith.labelling.typed import Act, Unclear, understood

LABELS = ("politics", "sports", "Sport of kings", "s", "2")


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ("1\n", ("politics",)),
        ("p", ("politics",)),
        ("POL", ("politics",)),
        ("sports", ("sports",)),
        ("sport ", ("Sport of kings",)),
        ("4", ("s",)),
        ("2", ("2",)),
        ("S", Act.SKIP),
        ("u", Act.UNDO),
        (" q ", Act.QUIT),
    ],
)
def test_one_label(typed: str, labels: object) -> None:
    if typed == "sport ":
        with pytest.raises(Unclear, match="'sport' may be sports or Sport of kings"):
            understood(typed, LABELS, several=False)
        return
    assert understood(typed, LABELS, several=False) == labels


@pytest.mark.parametrize("typed", ["", "6", "0", "-1", "weather", "1,3", "²"])
def test_what_is_no_label(typed: str) -> None:
    with pytest.raises(Unclear):
        understood(typed, LABELS, several=False)


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ("3 1", ("politics", "Sport of kings")),
        ("1,1", ("politics",)),
        ("sport of, pol", ("politics", "Sport of kings")),
        ("0", ()),
        ("none", ()),
        ("s", Act.SKIP),
    ],
)
def test_several_labels(typed: str, labels: object) -> None:
    assert understood(typed, LABELS, several=True) == labels


@pytest.mark.parametrize("typed", ["", "1,", "1 9", "politics, weather"])
def test_of_several_each_must_be_a_label(typed: str) -> None:
    with pytest.raises(Unclear):
        understood(typed, LABELS, several=True)
