"""GO where all that the bar asks is reached, and a reason for each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.evaluation.test_verdict import DOWN, SAME, UP, rival
from tunesmith.bar import METRICS, Bar
from tunesmith.config import parse_values
from tunesmith.errors import ConfigError
from tunesmith.evaluation.decision import decided
from tunesmith.evaluation.rival import FEW_SHOT, MAJORITY, NGRAMS, PROBE, TFIDF, ZERO_SHOT
from tunesmith.evaluation.types import Cost, Interval, NotRun, Report
from tunesmith.evaluation.verdict import judge
from tunesmith.task import Task

RIVALS = (rival("majority", UP), rival("TF-IDF + LR", SAME), rival("TF-IDF other", UP))
REPORT = Report(
    labels=("a", "b"),
    rows=200,
    metrics={"macro_f1": 0.86, "accuracy": 0.9},
    intervals={"macro_f1": Interval(0.82, 0.9)},
    per_label=(),
    confusion=(),
    calibration=None,
    rivals=RIVALS,
    mistakes=(),
    verdict=judge(RIVALS, (), 200),
    cost=Cost(1.0, 12.0),
    provenance={},
    curves=(),
)


@pytest.mark.parametrize(
    ("bar", "go"),
    [
        (Bar(macro_f1=0.86), True),
        (Bar(macro_f1=0.87), False),
        (Bar(macro_f1=0.5, accuracy=0.95), False),
        (Bar(beats=("majority",)), True),
        (Bar(beats=("tfidf",)), False),
        (Bar(beats=("tfidf o",)), True),
        (Bar(beats=("nothing",)), False),
        (Bar(max_ms=12), True),
        (Bar(max_ms=11.9), False),
        (Bar(bleu=1), False),
    ],
)
def test_a_bar_decides(bar: Bar, go: bool) -> None:
    verdict = decided(REPORT, bar).verdict
    assert verdict.go is go
    assert verdict.headline.startswith("GO (" if go else "NO-GO (")
    assert any(sentence.startswith("Reached" if go else "Not reached") for sentence in verdict.sentences)
    assert verdict.sentences[-len(REPORT.verdict.sentences) :] == REPORT.verdict.sentences


def test_every_reason_is_told_with_its_figures() -> None:
    verdict = decided(REPORT, Bar(macro_f1=0.9, beats=("majority", "knn"), max_ms=20)).verdict
    assert verdict.sentences[:4] == (
        "Not reached: macro_f1 0.86, 95 % interval 0.82 to 0.9; the bar is 0.9.",
        "Reached: better than majority.",
        "Not reached: knn was not compared with: the rivals were majority, TF-IDF + LR and TF-IDF other.",
        "Reached: 12.0 ms a text; the bar is 20.0 ms.",
    )


def test_without_a_bar_nothing_changes_and_reports_of_before_can_be_read() -> None:
    assert decided(REPORT, None) is REPORT
    values = REPORT.to_dict()
    del values["verdict"]["go"]
    assert Report.from_dict(values).verdict.go is None
    gone = decided(REPORT, Bar(max_ms=1))
    assert Report.from_dict(gone.to_dict()) == gone


def test_a_rival_that_was_not_run_is_not_beaten_and_said_why() -> None:
    report = replace(REPORT, not_run=(NotRun("zero-shot", "would have taken about 9 min 00 s"),))
    verdict = decided(report, Bar(beats=("zero-shot",))).verdict
    assert verdict.go is False
    assert verdict.sentences[0] == "Not reached: zero-shot was not run: would have taken about 9 min 00 s."
    assert Report.from_dict(report.to_dict()) == report


def test_without_rivals_it_is_said_that_there_were_none() -> None:
    report = replace(REPORT, rivals=())
    said = decided(report, Bar(beats=("probe",))).verdict.sentences[0]
    assert said == "Not reached: probe was not compared with: there was no training data for rivals."


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("majority", MAJORITY),
        ("tfidf", TFIDF),
        ("ngrams", NGRAMS),
        ("probe", PROBE),
        ("zero-shot", ZERO_SHOT),
        ("few-shot", FEW_SHOT),
    ],
)
def test_every_rival_has_a_short_name(short: str, name: str) -> None:
    report = replace(REPORT, rivals=(rival(name, UP),), verdict=judge((rival(name, UP),), (), 200))
    assert decided(report, Bar(beats=(short,))).verdict.sentences[0] == f"Reached: better than {name}."


def test_a_worse_rival_is_not_beaten() -> None:
    rivals = (rival("TF-IDF + LR", DOWN),)
    report = replace(REPORT, rivals=rivals, verdict=judge(rivals, (), 200))
    assert decided(report, Bar(beats=("tfidf",))).verdict.go is False


@pytest.mark.parametrize("values", [{}, {"macro_f1": 1.5}, {"macrof1": 0.5}, {"max_ms": 0}, {"chrf": 101}])
def test_a_bar_that_means_nothing_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_values({"bar": values}, Task, "task.yaml")


def test_one_rival_needs_no_list_and_all_metrics_are_keys() -> None:
    assert parse_values({"bar": {"beats": "tfidf"}}, Task, "t").bar == Bar(beats=("tfidf",))
    assert set(METRICS) == set(Bar.model_fields) - {"beats", "max_ms"}
