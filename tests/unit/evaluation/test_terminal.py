"""The terminal shows everything in 80 columns, and a text of the user's does nothing to it."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.unit.evaluation.conftest import MakeReport
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.evaluation.types import Cost, Report

NASTY = ("[red]bold[/red]", "日本語のとても長いラベルの名前です" * 3, "a very long label name " * 9, "😀👍🏽")


def shown(report: Report, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(as_terminal(report))
    return stream.getvalue()


@pytest.mark.parametrize("labels", [("a", "b"), NASTY, tuple(f"label number {n}" for n in range(90))])
def test_it_fits_80_columns(make_report: MakeReport, labels: tuple[str, ...]) -> None:
    report = make_report(labels=labels, rows=12_345, cost=Cost(7_500, 1234.5), text="本" * 500)
    lines = shown(report).splitlines()
    assert max(map(cell_len, lines)) <= 80
    # and no wider terminal is needed to keep a row of figures on one line
    assert any("this model" in line and "2 h 05 min" in line for line in lines)


def test_the_comparison_stands_first(make_report: MakeReport) -> None:
    report = make_report()
    text = shown(report)
    places = [text.index(name) for name in ("majority", "TF-IDF + LR", "this model", "label", "Better than")]
    assert places == sorted(places)
    assert f"{report.metrics['macro_f1']:.3f}" in text
    for sentence in report.verdict.sentences:
        assert sentence.split(":")[0] in text
    assert report.mistakes[0].where in text


def test_markup_in_a_text_is_no_markup(make_report: MakeReport) -> None:
    text = shown(make_report(labels=NASTY, text="[bold]this[/bold] [/nonsense]"))
    assert "[red]bold[/red]" in text
    assert "[bold]this[/bold] [/nonsense]" in text


def test_control_characters_do_not_reach_the_terminal(make_report: MakeReport) -> None:
    text = shown(make_report(labels=("a\x1b]0;title\x07", "b"), text="\x1b[2J\x1b[31mred\r\u202e"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text


def test_many_labels_are_cut_to_the_weakest_and_it_says_so(make_report: MakeReport) -> None:
    text = shown(make_report(labels=tuple(f"label {n}" for n in range(90)), rows=600))
    assert "the 12 weakest labels; 78 more are in the report" in text


def test_an_absent_label_has_no_scores(make_report: MakeReport) -> None:
    text = shown(make_report(labels=("a", "b", "c", "d", "e", "f"), rows=3))
    absent = next(line for line in text.splitlines() if "–" in line)
    assert "0.000" not in absent


def test_without_rivals_training_and_mistakes(make_report: MakeReport) -> None:
    text = shown(make_report(rivals=(), cost=Cost(None, 1.0), skill=99.0))
    assert "Not compared with any rival" in text
    assert "Worst mistakes" not in text
