"""The report of written answers as people meet it: on the terminal, as a page, as a model card."""

from __future__ import annotations

import io
from typing import Any

import pytest
import yaml
from rich.console import Console

from tests.unit.evaluation.generation.conftest import MakeReport, questions
from tests.unit.evaluation.test_html import Page
from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.generation.questions import Questions
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.evaluation.types import Cost, Report
from tunesmith.recipe import Recipe
from tunesmith.task import Task

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "a | b\n\x1b[31m\u202e[red]",
]


def terminal(report: Report) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=False).print(as_terminal(report))
    return stream.getvalue()


def nasty(make_report: MakeReport, **more: Any) -> Report:
    where = ["<b>a.csv</b>:1"] * 4
    test = Questions(
        "chat", NASTY, NASTY[::-1], where, [[{"role": "user", "content": text}] for text in NASTY]
    )
    return make_report(test=test, answers=NASTY, **more)


def few(make_report: MakeReport) -> Report:
    test = Questions("chat", ["?"] * 60, ["yes", "no", "maybe"] * 20, ["a:1"] * 60)
    return make_report(test=test, answers=["yes", "no", "perhaps"] * 20, rivals=())


@pytest.fixture(params=["plain", "nasty", "few", "bare"])
def report(request: pytest.FixtureRequest, make_report: MakeReport) -> Report:
    match request.param:
        case "plain":
            return make_report(cut=[False] * 120)
        case "nasty":
            return nasty(make_report)
        case "few":
            return few(make_report)
        case _:
            bare: dict[str, Any] = {"rivals": (), "curves": (), "token_figures": {}}
            return make_report(rows=1, cost=Cost(None, 1.0), score_corpus=lambda _one, _other: (), **bare)


def test_the_terminal_fits(report: Report) -> None:
    said = terminal(report)
    assert max(map(len, said.splitlines())) <= 80
    assert report.verdict.headline in " ".join(said.split())
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_the_page_is_whole_and_inert(report: Report) -> None:
    html = as_html(report, "<script>title</script>")
    page = Page(html)
    assert page.open == []
    tags = {tag for tag, _ in page.found}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.found:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)
    for table in page.all("th"):
        assert table.get("scope") in ("col", "row")
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_the_page_has_what_counts(make_report: MakeReport) -> None:
    report = make_report(cut=[row < 3 for row in range(120)])
    html = as_html(report, "news")
    for words in (
        "ROUGE-L with 95 % intervals",
        "chrF with 95 % intervals",
        "untuned 4-shot",
        "Loss while training",
        "Token accuracy while training",
        "Length of answers and references",
        "Perplexity",
        "40.50",
        "Cut off <span>3</span>",
        "4 more rivals",
        '<mark class="added">something</mark>',
        f"<h1>{report.verdict.headline}</h1>",
    ):
        assert words in html, words
    assert "Label by label" not in html
    assert "Confusion" not in html
    for example in report.writing.examples if report.writing else ():
        assert example.where in html


def test_few_different_targets_have_their_table(make_report: MakeReport) -> None:
    html = as_html(few(make_report), "t")
    assert "Label by label" in html
    assert "Macro-F1" in html
    assert "maybe" in terminal(few(make_report))


def test_what_is_missing_is_told(make_report: MakeReport) -> None:
    report = make_report(rivals=(), score_corpus=lambda _one, _other: ())
    card = as_model_card(report, task=Task(kind="completion"), recipe=Recipe(), name="x")
    for shown in (as_html(report, "t"), terminal(report), card):
        assert "sacrebleu" in shown


def test_long_texts_are_folded_and_cut(make_report: MakeReport) -> None:
    test = questions(6, 1)
    long = Questions("completion", ["many words " * 2_000] * 6, ["word " * 5_000] * 6, test.where)
    html = as_html(make_report(test=long, answers=["<i>" * 9_000] * 6, rivals=()), "t")
    assert "<details>" in html
    assert len(html) < 200_000
    assert len(terminal(make_report(test=long, answers=["x"] * 6, rivals=()))) < 10_000


def test_lines_of_an_answer_are_kept(make_report: MakeReport) -> None:
    test = Questions("completion", ["write f"], ["def f():\n    pass"], ["a:1"])
    html = as_html(make_report(test=test, answers=["def f():\n    pass"], rivals=()), "t")
    assert "def f():\n    pass" in html


def _card(report: Report, name: str = "news", **recipe: Any) -> str:
    return as_model_card(report, task=Task(kind=report.kind), recipe=Recipe(**recipe), name=name)


def test_the_card_says_what_the_hub_asks(make_report: MakeReport) -> None:
    report = make_report()
    values = yaml.safe_load(_card(report, base="openai-community/gpt2").split("---\n")[1])
    assert values["pipeline_tag"] == "text-generation"
    assert values["base_model"] == "openai-community/gpt2"
    metrics = {one["name"]: one for one in values["model-index"][0]["results"][0]["metrics"]}
    assert metrics["ROUGE-L"]["type"] == "rouge"
    assert metrics["ROUGE-L"]["value"] == pytest.approx(report.metrics["rouge_l"], abs=1e-4)
    assert metrics["chrF"]["type"] == "chrf"
    assert metrics["Token accuracy"]["type"] == "accuracy"


def test_the_card_has_what_counts(report: Report) -> None:
    card = _card(report, max_tokens=64)
    assert f"# {'news'}" in card
    assert report.verdict.headline in card
    assert 'pipeline("text-generation"' in card
    assert "may have 64 tokens" in card
    for rival in report.rivals:
        assert f"| {rival.name} |" in card
