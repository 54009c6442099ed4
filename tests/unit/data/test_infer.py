"""Which columns are taken for text and label, and when that is not for us to say."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tunesmith.data.formats.rows import Row
from tunesmith.data.infer import infer_columns, infer_text_column
from tunesmith.errors import DataError

LONG = [
    "a long text about something",
    "another long text about it",
    "and a third one about that",
    "yet more words",
]
SHORT = ["a title", "some title", "the title", "no title"]
KINDS = ["x", "y", "x", "y"]
GROUPS = ["1", "1", "2", "2"]


def rows(**columns: Sequence[object]) -> list[Row]:
    names = list(columns)
    cells = zip(*columns.values(), strict=True)
    return [Row(dict(zip(names, each, strict=True)), at, "a.csv") for at, each in enumerate(cells, 2)]


@pytest.mark.parametrize(
    ("sample", "text", "label"),
    [
        (rows(text=LONG, label=KINDS), "text", "label"),
        (rows(id=["1", "2", "3", "4"], text=LONG, label=KINDS), "text", "label"),
        (rows(Category=KINDS, Description=LONG), "Description", "Category"),
        (rows(title=SHORT, description=LONG, category=KINDS), "description", "category"),
        (rows(title=SHORT, text=["b", "a", "c", "d"], label=KINDS), "text", "label"),
        (rows(label=KINDS, category=GROUPS, text=LONG), "text", "label"),
        (rows(topic=KINDS, zzz=LONG), "zzz", "topic"),
        (rows(column_1=GROUPS, column_2=SHORT, column_3=LONG), "column_3", "column_1"),
        (rows(a=LONG, b=[1, 0, 1, 0]), "a", "b"),
        (rows(sentence=["ok", "no", "ok", "no"], outcome=KINDS), "sentence", "outcome"),
        ([*rows(text=LONG), *rows(text=LONG, labels=[["p"], ["q"], ["p"], []])], "text", "labels"),
    ],
)
def test_columns_are_inferred(sample: list[Row], text: str, label: str) -> None:
    columns = infer_columns("a.csv", sample, None, None)
    assert (columns.text, columns.label, columns.inferred) == (text, label, True)


def test_named_columns_are_used() -> None:
    sample = rows(title=SHORT, text=LONG, kind=KINDS, label=KINDS)
    columns = infer_columns("a.csv", sample, "title", "kind")
    assert (columns.text, columns.label, columns.inferred) == ("title", "kind", False)
    assert infer_columns("a.csv", sample, "title", None).label == "label"
    assert infer_columns("a.csv", sample, None, "kind").text == "text"


@pytest.mark.parametrize(
    ("sample", "candidates"),
    [
        (rows(text=LONG, kind=KINDS, group=GROUPS), ['"kind"', '"group"']),
        (rows(text=LONG, topic=KINDS, sentiment=GROUPS), ['"topic"', '"sentiment"']),
        (rows(english=LONG, german=LONG[::-1], label=KINDS), ['"english"', '"german"']),
        (rows(review=LONG, message=LONG[::-1], label=KINDS), ['"review"', '"message"']),
    ],
)
def test_an_ambiguous_choice_names_the_candidates_and_the_flags(
    sample: list[Row], candidates: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        infer_columns("a.csv", sample, None, None)
    (problem,) = caught.value.problems
    assert problem.code == "ambiguous-column"
    assert all(candidate in problem.what for candidate in candidates)
    assert "--text-column" in problem.fix
    assert "--label-column" in problem.fix


def test_a_missing_column_is_refused_with_the_columns_and_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        infer_columns("a.csv", rows(Text=LONG, categry=KINDS), "text", "category")
    text, label = caught.value.problems
    assert {text.code, label.code} == {"no-column"}
    assert 'did you mean "Text"?' in text.fix
    assert 'did you mean "categry"?' in label.fix
    assert '"Text", "categry"' in label.what


def test_a_missing_column_of_a_file_without_header_says_so() -> None:
    with pytest.raises(DataError) as caught:
        infer_columns("a.csv", rows(column_1=KINDS, column_2=LONG), "text", "label")
    assert all("header" in problem.fix for problem in caught.value.problems)


def test_no_label_at_all_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        infer_columns("a.csv", rows(text=LONG), None, None)
    assert [(problem.code, "label" in problem.what) for problem in caught.value.problems] == [
        ("no-column", True)
    ]


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        infer_columns("a.csv", rows(label=KINDS), None, None)
    assert [(problem.code, "text" in problem.what) for problem in caught.value.problems] == [
        ("no-column", True)
    ]


def test_one_column_cannot_be_both() -> None:
    with pytest.raises(DataError, match="same-column"):
        infer_columns("a.csv", rows(text=LONG, label=KINDS), "text", "text")


def test_the_text_alone_is_inferred_for_rows_without_a_label() -> None:
    assert infer_text_column("a.csv", rows(id=["1", "2", "3", "4"], body=LONG)) == "body"
    assert infer_text_column("a.csv", rows(zzz=LONG)) == "zzz"
    with pytest.raises(DataError, match="no-column"):
        infer_text_column("a.csv", rows(body=LONG), "text")
