"""What there is to understand, on the page and in the terminal: whole, escaped, and narrow enough."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from tests.unit.evaluation.conftest import MakeReport, answers, unseen
from tests.unit.evaluation.test_html import NASTY, Page
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.understanding.answers import answers_of
from tunesmith.evaluation.understanding.groups import group_mistakes
from tunesmith.evaluation.understanding.page import marked_text
from tunesmith.evaluation.understanding.selection import select
from tunesmith.evaluation.understanding.slices import by_column, slice_tables
from tunesmith.evaluation.understanding.types import (
    Explained,
    MarkedWord,
    Perturbed,
    Robustness,
    Slice,
    Span,
    Understanding,
)
from tunesmith.evaluation.understanding.wording import percent, strength

SCRIPT = "<script>alert('row')</script> <b>x</b> &amp;"


def explained(text: str, words: tuple[MarkedWord, ...]) -> Explained:
    return Explained(text, "t.csv:2", "a", "b", "b", 0.9, 2.2, -1.0, 0.01, words)


def understood(report: Report, labels: tuple[str, ...], rows: int) -> Understanding:
    """All that there can be, of the answers that the report is made of."""
    test = unseen(labels, rows, SCRIPT)
    truth = np.asarray(test.label_ids)
    found = answers_of(labels, truth, answers(truth, len(labels), 3, 2.5), None)
    values = ["<i>north</i>" if row < rows / 2 else "south" for row in range(rows)]
    tables = slice_tables(found, [by_column("<site>", values)], seed=0)
    weak = Slice("weak", 20, Span(0.2, 0.1, 0.3), Span(0.2, 0.1, 0.3), Span(-0.6, -0.8, -0.4), True)
    tables = (replace(tables[0], slices=(*tables[0].slices, weak)),)
    change = Perturbed("UPPER CASE", "so", 1.0, 0.25, 0.5, 0.4, Span(-0.1, -0.2, 0.0), Span(-0.3, -0.4, -0.2))
    words = (MarkedWord(0, 7, 1.0), MarkedWord(8, 14, -0.5))
    return Understanding(
        select(found.confidence, found.right),
        tables,
        group_mistakes(test, found),
        (explained("<b>bad< script", words),),
        Robustness(rows, 0.8, 0.7, (change,), ("typos",)),
    )


@pytest.fixture(params=[("a", "b"), NASTY], ids=["two", "nasty"])
def report(request: pytest.FixtureRequest, make_report: MakeReport) -> Report:
    made = make_report(labels=request.param, rows=200, text=SCRIPT)
    return replace(made, understanding=understood(made, request.param, 200))


def test_json_gives_it_back(report: Report) -> None:
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_the_page_has_all_of_it(report: Report) -> None:
    page = Page(as_html(report, "t"))
    assert page.open == []
    sections = {one.get("aria-labelledby") for one in page.all("section")}
    assert {"h-selection", "h-groups", "h-slices", "h-robustness", "h-explained"} <= sections
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
    assert page.all("details")[0].keys() <= {"open"}


def test_every_text_is_escaped(report: Report) -> None:
    html = as_html(report, "t")
    assert not {"script", "img", "i"} & {tag for tag, _ in Page(html).found}
    assert "&lt;i&gt;north&lt;/i&gt;" in html
    assert "By &lt;site&gt;" in html
    assert '<mark class="for w3" title="+1.00">&lt;b&gt;bad&lt;</mark>' in html


def test_what_is_weak_is_said_and_marked(report: Report) -> None:
    html = as_html(report, "t")
    assert "<b>weak</b> is worse than the rest (−0.600)" in html
    assert html.count("▼ worse") == 1
    assert "No time was left for: typos." in html


def test_what_was_not_measured_is_left_out(make_report: MakeReport) -> None:
    made = make_report()
    html = as_html(made, "t")
    assert not [name for name in ("selection", "groups", "slices", "explained") if f'id="h-{name}"' in html]
    bare = Understanding(select(np.array([0.9, 0.8]), np.array([True, True])))
    html = as_html(replace(made, understanding=bare), "t")
    assert Page(html).open == []
    assert 'id="h-selection"' in html
    assert 'id="h-groups"' not in html
    assert "nan" not in html[html.index("coverage-title") : html.index("h-mistakes")].lower()


def test_a_text_is_whole_with_its_marks() -> None:
    text = " so  the\tgoal was (scored"
    words = (
        MarkedWord(1, 3, 0.05),
        MarkedWord(5, 8, -1.0),
        MarkedWord(9, 13, 2.0),
        MarkedWord(14, 17, 0.0),
        MarkedWord(18, 25, 0.9),
    )
    marked = str(marked_text(explained(text, words)))
    assert re.sub("<[^>]+>", "", marked) == " so the goal was (scored"
    assert re.findall('<mark class="([^"]+)"', marked) == ["against w2", "for w3", "for w2"]


def test_strengths_have_a_sign_and_three_steps() -> None:
    assert [strength(value, 1.0) for value in (1.0, 0.4, 0.2, 0.1, 0.0, -0.2, -1.0)] == [
        3,
        2,
        1,
        0,
        0,
        -1,
        -3,
    ]
    assert strength(0.0, 0.0) == 0


def test_neither_none_nor_all_is_rounded_to_either() -> None:
    assert [percent(value) for value in (0, 0.001, 0.5, 0.999, 1)] == [
        "0 %",
        "< 1 %",
        "50 %",
        "> 99 %",
        "100 %",
    ]


def _printed(report: Report) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80, highlight=False).print(as_terminal(report))
    return stream.getvalue()


def test_the_terminal_says_it_in_eighty_columns(report: Report) -> None:
    said = _printed(report)
    assert max(map(len, said.splitlines())) <= 80
    for part in (
        "Where only the surest are answered",
        "--min-confidence",
        "<site>: weak  −0.600",
        "UPPER CASE",
        "no time was left for: typos",
        "for b: <b>bad< +1.00",
    ):
        assert part in said


def test_the_terminal_says_nothing_of_what_is_not_there(make_report: MakeReport) -> None:
    assert "surest" not in _printed(make_report())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_have_contrast(report: Report, scheme: str) -> None:
    from tests.unit.evaluation.test_html import _contrast

    blocks = re.findall(r":root \{(.*?)\}", as_html(report, "t"), flags=re.DOTALL)
    style = blocks[0] + blocks[2] if scheme == "light" else blocks[1] + blocks[3]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style))
    grounds = ("h1", "h2", "h4", "a1", "a2", "a3")
    assert {ground for ground in grounds if _contrast(colours["on-pale"], colours[ground]) < 4.5} == set()
