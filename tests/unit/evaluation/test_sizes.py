"""What a rival takes on disk, and why one was not run, stands wherever rivals are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from tests.unit.evaluation.conftest import MakeReport
from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.evaluation.types import Cost, NotRun, Report
from tunesmith.evaluation.wording import size
from tunesmith.recipe import Recipe
from tunesmith.task import Task


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "–"),
        (12, "< 1 kB"),
        (1_499, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (9_940_000, "9.9 MB"),
        (21_779_806, "22 MB"),
        (28e9, "28,000 MB"),
    ],
)
def test_sizes_are_said_as_those_of_files(count: int | None, said: str) -> None:
    assert size(count) == said


@pytest.fixture
def report(make_report: MakeReport) -> Report:
    made = make_report(cost=Cost(214.0, 3.4, size_bytes=21_779_806))
    sized = tuple(replace(rival, size_bytes=1_906_566) for rival in made.rivals)
    return replace(made, rivals=sized, not_run=(NotRun("probe", "would have taken *about* <9 s>"),))


def test_sizes_and_what_was_not_run_are_shown_and_escaped(report: Report) -> None:
    console = Console(width=80)
    with console.capture() as said:
        console.print(as_terminal(report))
    terminal = " ".join(said.get().split())
    assert "on disk: majority 1.9 MB, TF-IDF + LR 1.9 MB, this model 22 MB" in terminal
    assert "not run: probe, would have taken *about* <9 s>" in terminal

    page = as_html(report, "news")
    assert page.count("1.9 MB</td>") == 2
    assert "<b>probe</b> was not run: would have taken *about* &lt;9 s&gt;." in page

    card = as_model_card(report, task=Task(labels=report.labels), recipe=Recipe())
    assert "| ms per text | On disk |" in card
    assert "| 3.4 | 22 MB |" in card
    assert "- probe was not run: would have taken \\*about\\* &lt;9 s&gt;." in card


def test_a_report_of_before_has_no_sizes_and_can_be_read(report: Report) -> None:
    values = report.to_dict()
    del values["not_run"], values["cost"]["size_bytes"]
    for rival in values["rivals"]:
        del rival["size_bytes"]
    old = Report.from_dict(values)
    assert old.not_run == ()
    assert "–</td>" in as_html(old, "news")
