"""One object holds all the proof, and JSON gives it back unchanged."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tests.unit.evaluation.conftest import MakeReport, answers, unseen
from tunesmith.data.dataset import dataset_of
from tunesmith.errors import BundleError, DataError
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.report import build_report
from tunesmith.evaluation.rivals import Rival
from tunesmith.evaluation.types import Cost, Report
from tunesmith.task import Task


def test_json_gives_back_an_equal_report(make_report: MakeReport) -> None:
    report = make_report()
    written = json.dumps(report.to_dict(), allow_nan=False)
    again = Report.from_dict(json.loads(written))
    assert again == report
    assert json.dumps(again.to_dict()) == written


def test_a_report_without_rivals_and_curves_goes_round_too(make_report: MakeReport) -> None:
    report = make_report(rivals=(), curves=(), cost=Cost(None, 1.0))
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert report.verdict.beats == ()


def test_its_parts_agree(make_report: MakeReport) -> None:
    report = make_report()
    assert sum(map(sum, report.confusion)) == report.rows == 300
    for index, found in enumerate(report.per_label):
        assert found.rows == sum(report.confusion[index])
        assert found.predicted == sum(row[index] for row in report.confusion)
        assert found.f1_interval.low <= found.f1 <= found.f1_interval.high
    for name, interval in report.intervals.items():
        assert interval.low <= report.metrics[name] <= interval.high, name
    assert report.calibration is not None
    assert report.calibration.ece == report.metrics["ece"]
    assert sum(found.rows for found in report.calibration.bins) == 300


def test_rivals_are_compared_row_by_row(make_report: MakeReport) -> None:
    report = make_report()
    majority, tfidf = report.rivals
    for rival in (majority, tfidf):
        for metric, found in rival.differences.items():
            assert found.value == report.metrics[metric] - rival.metrics[metric]
    assert report.verdict.beats == ("majority", "TF-IDF + LR")
    assert (tfidf.train_seconds, tfidf.milliseconds_per_text) == (4.0, 0.3)


def test_the_same_answers_are_not_distinguishable(make_report: MakeReport) -> None:
    report = make_report()
    test = unseen(report.labels, 300)
    probabilities = answers(np.asarray(test.label_ids), 3, 3, 2.5)
    twin = make_report(rivals=[Rival("twin", "copies", probabilities, 1.0, 1.0)])
    assert twin.verdict.headline == "Not distinguishable from twin"


def test_mistakes_are_the_surest_first_with_their_source() -> None:
    task = Task(labels=("a", "b"))
    test = dataset_of(task, ["t0", "t1", "t2", "t3"], ["a", "b", "a", "b"], "reviews.csv", [2, 3, 5, 8])
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.1, 0.9], [0.6, 0.4]])
    report = _report(test, probabilities)
    assert [found.where for found in report.mistakes] == ["reviews.csv:5", "reviews.csv:3", "reviews.csv:8"]
    worst = report.mistakes[0]
    assert (worst.text, worst.truth, worst.predicted, worst.probability) == ("t2", "a", "b", 0.9)
    assert len(_report(test, probabilities, worst=1).mistakes) == 1


def test_a_faultless_model_has_no_mistakes() -> None:
    test = unseen(("a", "b"), 20)
    report = _report(test, np.eye(2)[test.label_ids])
    assert report.mistakes == ()
    assert report.metrics["macro_f1"] == 1


def test_ninety_labels_of_which_many_are_absent() -> None:
    labels = tuple(f"label {index}" for index in range(90))
    test = unseen(labels, 60)
    report = _report(test, answers(np.asarray(test.label_ids), 90, 1).astype(np.float32))
    assert len(report.per_label) == len(report.confusion) == 90
    json.dumps(report.to_dict(), allow_nan=False)


def test_curve_values_that_are_no_numbers_become_none(make_report: MakeReport) -> None:
    curves = [{"step": 1, "train_loss": math.nan, "macro_f1": np.float32(0.5), "validation_loss": None}]
    report = make_report(curves=curves)
    assert report.curves == ({"step": 1, "train_loss": None, "macro_f1": 0.5, "validation_loss": None},)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_one_seed_one_report(make_report: MakeReport) -> None:
    assert make_report() == make_report()
    assert make_report(seed=1).intervals != make_report().intervals


def test_no_test_row_is_the_users_fault() -> None:
    empty = dataset_of(Task(labels=("a", "b")), [], [])
    with pytest.raises(DataError) as caught:
        _report(empty, np.zeros((0, 2)))
    assert caught.value.problems[0].code == "no-test-rows"


@pytest.mark.parametrize("damage", ["not a mapping", "missing", "wrong type"])
def test_a_damaged_report_is_told_with_its_place(make_report: MakeReport, damage: str) -> None:
    values: Any = make_report().to_dict()
    match damage:
        case "missing":
            del values["verdict"]
        case "wrong type":
            values["rows"] = "many"
        case _:
            values = [values]
    with pytest.raises(BundleError) as caught:
        Report.from_dict(values, "model/report.json")
    problem = caught.value.problems[0]
    assert (problem.code, problem.where) == ("bad-report", "model/report.json")


def _report(test: Any, probabilities: np.ndarray, **given: Any) -> Report:
    return build_report(
        test=test,
        probabilities=probabilities,
        rivals=(),
        curves=(),
        cost=Cost(1.0, 1.0),
        provenance={},
        seed=0,
        **given,
    )


def test_every_figure_has_an_interval(make_report: MakeReport) -> None:
    report = make_report()
    assert report.metrics.keys() == report.intervals.keys()
    for found in report.per_label:
        for value, interval in (
            (found.precision, found.precision_interval),
            (found.recall, found.recall_interval),
        ):
            assert interval is not None
            assert interval.low <= value <= interval.high
    for rival in report.rivals:
        assert rival.metrics.keys() == rival.intervals.keys() == rival.differences.keys()


def test_rivals_are_tested_row_by_row(make_report: MakeReport) -> None:
    report = make_report()
    found = report.rivals[1].mcnemar
    assert found is not None
    gain = (found.only_this - found.only_other) / report.rows
    assert gain == pytest.approx(report.rivals[1].differences["accuracy"].value)
    assert found.p < 0.05


def test_a_report_of_before_still_opens(make_report: MakeReport) -> None:
    values = make_report().to_dict()
    for found in values["per_label"]:
        del found["precision_interval"], found["recall_interval"]
    for rival in values["rivals"]:
        del rival["mcnemar"]
    for name in ("brier", "ece"):
        del values["intervals"][name]
    old = Report.from_dict(values)
    assert old.per_label[0].recall_interval is None
    assert old.rivals[0].mcnemar is None
    assert "McNemar" not in as_html(old, "old")
